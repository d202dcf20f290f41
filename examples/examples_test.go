package examples_test

import (
	"bytes"
	"io/fs"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

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
	if len(folders) != 8 {
		t.Errorf("folders: want 8, got %d", len(folders))
	}
	for _, f := range folders {
		readme, err := fs.ReadFile(examples.Files, f.Name()+"/README.md")
		if err != nil || !strings.Contains(string(readme), "## Run it") {
			t.Errorf("%s: want a README with a section \"Run it\", got %v", f.Name(), err)
		}
	}
}

// Every YAML file of every folder parses, pipelines and clusters included, and
// every script is one that bash can read.
func TestFilesAreWhatTheyClaim(t *testing.T) {
	err := fs.WalkDir(examples.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(examples.Files, name)
		if err != nil {
			return err
		}
		switch path.Ext(name) {
		case ".yaml", ".yml":
			for document := range strings.SplitSeq(string(content), "\n---\n") {
				var parsed map[string]any
				if err := yaml.UnmarshalStrict([]byte(document), &parsed); err != nil || len(parsed) == 0 {
					t.Errorf("%s: want YAML, got %v", name, err)
				}
			}
		case ".sh":
			check := exec.CommandContext(t.Context(), "bash", "-n")
			check.Stdin = bytes.NewReader(content)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: want a script, got %v: %s", name, err, out)
			}
		case ".md":
		default:
			t.Errorf("%s: want a file that is checked, got one of another type", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a README names below its folder is there.
func TestReadmesNameFilesThatAreThere(t *testing.T) {
	named := regexp.MustCompile(`(?m)(?:^|[\s` + "`" + `(,])((?:policy|inline|cluster|pipeline)/[\w.-]+\.\w+)`)
	for _, folder := range []string{examples.KyvernoProvenance, examples.KyvernoChains, examples.GatekeeperRatify, examples.GatekeeperCosign, examples.KyvernoExtension, examples.NativeSigstore} {
		readme, err := fs.ReadFile(examples.Files, folder+"/README.md")
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllStringSubmatch(string(readme), -1)
		if len(found) == 0 {
			t.Errorf("%s: want files named, got none", folder)
		}
		for _, match := range found {
			if _, err := fs.Stat(examples.Files, folder+"/"+match[1]); err != nil {
				t.Errorf("%s/README.md names %s: %v", folder, match[1], err)
			}
		}
	}
}

func pem(s string) []byte {
	return []byte("-----BEGIN PUBLIC KEY-----\n" + s + "\n-----END PUBLIC KEY-----\n")
}
