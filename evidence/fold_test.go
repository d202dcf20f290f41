package evidence_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Runtimes match names whatever their case, and the last one wins: a document
// that they would read otherwise than we do is none (TRUST R4, R31).
func TestR4NamesThatFoldAlike(t *testing.T) {
	good, evil := imageref.DigestOf([]byte("good")).String(), imageref.DigestOf([]byte("evil")).String()
	child := func(digest, more string) string {
		return `{"mediaType":"` + evidence.MediaTypeImage + `","digest":"` + digest + `","size":4` + more + `}`
	}
	index := func(members string) string {
		return `{"schemaVersion":2,"mediaType":"` + evidence.MediaTypeIndex + `",` + members + `}`
	}
	unknown := `,"platform":{"os":"unknown","architecture":"unknown"`
	cases := map[string]struct {
		reason string
		raw    string
		fine   bool
	}{
		"Plain":       {reason: "as tools write it", raw: index(`"manifests":[` + child(good, unknown+"}") + `]`), fine: true},
		"Annotations": {reason: "their names are the author's", raw: index(`"manifests":[` + child(good, `,"annotations":{"Digest":"x","OS":"y"}`) + `],"annotations":{"Manifests":"z"}`), fine: true},
		"Unknown":     {reason: "a name that nobody knows may be any", raw: index(`"manifests":[` + child(good, "") + `],"Extra":{"extra":1}`), fine: true},
		"Manifests":   {reason: "another list of children", raw: index(`"manifests":[` + child(good, "") + `],"Manifests":[` + child(evil, "") + `]`)},
		"Digest":      {reason: "another child", raw: index(`"manifests":[` + child(good, `,"Digest":"`+evil+`"`) + `]`)},
		"LongS":       {reason: "ſ is s to encoding/json", raw: index(`"manifests":[` + child(good, `,"digeſt":"`+evil+`"`) + `]`)},
		"Escaped":     {reason: "spelled otherwise", raw: index(`"manifests":[` + child(good, `,"\u0044igest":"`+evil+`"`) + `]`)},
		"Platform":    {reason: "an image in the clothes of an attestation", raw: index(`"manifests":[` + child(good, unknown+`,"Os":"linux","Architecture":"amd64"}`) + `]`)},
		"Config":      {reason: "an index that is an image too", raw: index(`"manifests":[` + child(good, "") + `],"Config":` + child(evil, "") + `,"Layers":[]`)},
		"MediaType":   {reason: "of another type", raw: index(`"manifests":[` + child(good, "") + `],"MediaType":"` + evidence.MediaTypeImage + `"`)},
		"Deep":        {reason: "within what nobody knows", raw: index(`"manifests":[` + child(good, "") + `],"extra":[{"a":{"Digest":"x"}}]`)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := evidence.ParseManifest([]byte(tc.raw), evidence.MediaTypeIndex)
			if tc.fine {
				if err != nil {
					t.Fatalf("%s: want it read, got %v", tc.reason, err)
				}
				return
			}
			var p *evidence.Problem
			if !errors.As(err, &p) || p.Reason != evidence.MalformedManifest || !strings.Contains(p.Error(), "alike") {
				t.Errorf("%s: want it refused for its names, got %v", tc.reason, err)
			}
		})
	}
}
