package examples_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/examples"
)

func TestFillPutsValuesInPlace(t *testing.T) {
	files, err := examples.Fill(examples.KyvernoProvenance, "policy", examples.Values{
		Registry: "127.0.0.1:5000", Keys: [][]byte{pem("first"), pem("second")},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		all[f.Name] = string(f.Content)
		if strings.Contains(string(f.Content), examples.Registry) {
			t.Errorf("%s: want no %s, got one", f.Name, examples.Registry)
		}
	}
	keys := all["policy/keys.yaml"]
	for _, want := range []string{"  org: |-\n    -----BEGIN PUBLIC KEY-----\n    first\n    -----END", "  vendor: |-\n    -----BEGIN PUBLIC KEY-----\n    second\n    -----END"} {
		if !strings.Contains(keys, want) {
			t.Errorf("keys.yaml: want %q in it, got\n%s", want, keys)
		}
	}
	if review := all["policy/attest-code-review.yaml"]; !strings.Contains(review, "            first\n") {
		t.Errorf("attest-code-review.yaml: want the same key for the same block, got\n%s", review)
	}
	if _, err := examples.Fill(examples.KyvernoProvenance, "policy", examples.Values{Keys: [][]byte{pem("first")}}); err == nil {
		t.Error("two keys and one value: want an error, got none")
	}
}

func TestFillKeepsTheMarginOfAVariable(t *testing.T) {
	files, err := examples.Fill(examples.KyvernoExtension, "cluster", examples.Values{Variables: map[string]string{"CA_BUNDLE_PEM": "one\ntwo\n"}})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(files[0].Content); !strings.Contains(text, "caBundle: |-\n                one\n                two\n") {
		t.Errorf("want both lines below caBundle, got\n%s", text)
	}
}

// A folder says what it is for, and is listed.
func TestEveryFolderHasAReadme(t *testing.T) {
	folders, err := fs.ReadDir(examples.Files, ".")
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) != 5 {
		t.Errorf("folders: want 5, got %d", len(folders))
	}
	for _, f := range folders {
		readme, err := fs.ReadFile(examples.Files, f.Name()+"/README.md")
		if err != nil || !strings.Contains(string(readme), "## Run it") {
			t.Errorf("%s: want a README with a section \"Run it\", got %v", f.Name(), err)
		}
	}
}

func pem(s string) []byte {
	return []byte("-----BEGIN PUBLIC KEY-----\n" + s + "\n-----END PUBLIC KEY-----\n")
}
