/* SPDX-License-Identifier: Apache-2.0 */
/* New keys, certificates and passwords, and for how long they hold. */
#include <time.h>

#include "crypto/random.h"
#include "secrets/internal.h"

enum { PASSWORD_BYTES = 32, DAY = 24 * 60 * 60 };

/*
 * K3s gives its leaf certificates no earlier start than the CA's. A Pi has no clock of its own: until it hears from a
 * time server it lives at the time of its image, and that is the time of the lock file, which may be months old when
 * the secrets are made. A year covers that and costs nothing.
 */
enum { BACKDATE_DAYS = 365 };
/* The lifetime K3s itself gives its CAs is ten years; its own script for such a set says 3700 days. */
enum { CA_DAYS = 3700 };
/* Nothing renews the certificate of a kubeconfig on a laptop, so one year as in K3s is too short; it cannot be revoked
 * either, so ten are too long. */
enum { ADMIN_DAYS = 5 * 365 };

int secrets_make_admin(struct secrets *s, struct err *e)
{
	struct pki_cert ca;
	struct pki_time valid;
	int r = pki_read_cert(s->client_ca.cert, &ca, e);

	if (r < 0)
		return r;
	valid.from = ca.valid.from;
	valid.to = MIN(ca.valid.to, (int64_t)time(NULL) + (int64_t)ADMIN_DAYS * DAY);
	return pki_make_client(&s->client_ca, ADMIN_COMMON_NAME, ADMIN_ORGANIZATION, valid, &s->admin, e);
}

int secrets_make_cas(struct secrets *s, struct err *e)
{
	struct pki_time valid;
	int r = 0;

	s->created = (int64_t)time(NULL);
	valid.from = s->created - (int64_t)BACKDATE_DAYS * DAY;
	valid.to = s->created + (int64_t)CA_DAYS * DAY;
	for (size_t i = 0; i < SECRET_CA_COUNT && r == 0; i++) {
		const char *name = arena_printf("%s@%lld", secret_certs[i].common_name, (long long)s->created);

		r = pki_make_ca(name, valid, secrets_pair(s, &secret_certs[i]), e);
	}
	if (r < 0)
		return r;
	r = pki_make_rsa_key(&s->service_key, e);
	return r < 0 ? r : secrets_make_admin(s, e);
}

/* Its name is what people look for in their list of trusted CAs. */
int secrets_make_issuer_ca(struct secrets *s, const struct config *c, struct err *e)
{
	int64_t now = time(NULL);
	struct pki_time valid = { now - (int64_t)BACKDATE_DAYS * DAY, now + (int64_t)CA_DAYS * DAY };

	return pki_make_zone_ca(arena_printf("%s CA %s", c->cluster.name, utc_as("%Y-%m-%d", now)),
				c->cert_manager.zones.v, c->cert_manager.zones.n, valid, &s->issuer_ca, e);
}

int secrets_make_password(const char **ret, struct err *e)
{
	return random_hex(PASSWORD_BYTES, ret, e);
}
