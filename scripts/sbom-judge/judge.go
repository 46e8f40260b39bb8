// SPDX-License-Identifier: Apache-2.0

// Reads SBOMs and provenance with the libraries of those who specify them, as Debian 13 packages their sources:
// github.com/spdx/tools-golang and github.com/in-toto/attestation. Built and run by scripts/check-sbom.
//
//	judge FILE...    *.spdx.json and *.provenance.json
//
// Exit 0 when every file is good; else 1, with a line for each that is not.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	statement "github.com/in-toto/attestation/go/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
	"google.golang.org/protobuf/encoding/protojson"
)

// missing says where WANT is not to be found in GOT. The library skips fields it does not know and may add its own, so
// that ours have all to come back as they were.
func missing(at string, want, got any) error {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k, v := range w {
			if err := missing(at+"."+k, v, g[k]); err != nil {
				return err
			}
		}
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return fmt.Errorf("%s: %d elements come back of %d", at, len(g), len(w))
		}
		for i, v := range w {
			if err := missing(fmt.Sprintf("%s[%d]", at, i), v, g[i]); err != nil {
				return err
			}
		}
	default:
		// The library leaves out what is false.
		if want != false && !reflect.DeepEqual(want, got) {
			return fmt.Errorf("%s: %v is read as %v", at, want, got)
		}
	}
	return nil
}

func judgeSBOM(text []byte) error {
	doc, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if doc.SPDXVersion != v2_3.Version || doc.DataLicense != v2_3.DataLicense {
		return fmt.Errorf("%s under %s is not %s under %s", doc.SPDXVersion, doc.DataLicense, v2_3.Version, v2_3.DataLicense)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		return err
	}
	if described, err := spdxlib.GetDescribedPackageIDs(doc); err != nil || len(described) != 1 {
		return fmt.Errorf("the document describes %d packages: %v", len(described), err)
	}
	return comesBack(text, doc)
}

func comesBack(text []byte, doc *spdx.Document) error {
	var again bytes.Buffer
	var want, got any
	if err := spdxjson.Write(doc, &again); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &want); err != nil {
		return err
	}
	if err := json.Unmarshal(again.Bytes(), &got); err != nil {
		return err
	}
	return missing("", want, got)
}

// Fields that the specification does not know are an error to protojson.
func judgeProvenance(text []byte) error {
	var s statement.Statement
	var p provenance.Provenance
	if err := protojson.Unmarshal(text, &s); err != nil {
		return err
	}
	if err := s.Validate(); err != nil {
		return err
	}
	if s.GetPredicateType() != "https://slsa.dev/provenance/v1" {
		return fmt.Errorf("predicateType is %s", s.GetPredicateType())
	}
	predicate, err := protojson.Marshal(s.GetPredicate())
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(predicate, &p); err != nil {
		return err
	}
	return p.Validate()
}

func judge(name string) error {
	text, err := os.ReadFile(name)
	switch {
	case err != nil:
		return err
	case strings.HasSuffix(name, ".spdx.json"):
		return judgeSBOM(text)
	case strings.HasSuffix(name, ".provenance.json"):
		return judgeProvenance(text)
	}
	return fmt.Errorf("neither *.spdx.json nor *.provenance.json")
}

func main() {
	code := 0
	for _, name := range os.Args[1:] {
		if err := judge(name); err != nil {
			fmt.Printf("%s: %v\n", name, err)
			code = 1
		}
	}
	os.Exit(code)
}
