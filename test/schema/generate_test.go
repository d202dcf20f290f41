package schema_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

var update = flag.Bool("update", false, "rewrite config/crd and the deep copies of api/v1alpha1")

const (
	root        = "../.."
	definitions = root + "/config/crd"
	typesFolder = root + "/api/v1alpha1"
)

// TestGenerated compares config/crd and the deep copies with what the types of
// api/v1alpha1 say now.
func TestGenerated(t *testing.T) {
	tool, err := rig.Binary(t.Context(), "controller-gen")
	if err != nil {
		t.Fatal(err)
	}
	crds, copies := t.TempDir(), t.TempDir()
	cmd := exec.CommandContext(t.Context(), tool, "object", "crd", "paths=./api/v1alpha1", "output:crd:dir="+crds, "output:object:dir="+copies)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	compareFolder(t, crds, definitions, ".yaml", strict)
	compareFolder(t, copies, typesFolder, "zz_generated.deepcopy.go", func(_ *testing.T, content []byte) []byte { return content })
}

// compareFolder compares the files of want whose names end so, each as finish
// leaves it, with those of got: neither may have one that the other lacks.
func compareFolder(t *testing.T, want, got, ending string, finish func(*testing.T, []byte) []byte) {
	t.Helper()
	listed := list(t, want, ending)
	if len(listed) == 0 {
		t.Fatalf("%s: want files, got none", ending)
	}
	for _, name := range listed {
		content := finish(t, read(t, filepath.Join(want, name)))
		path := filepath.Join(got, name)
		if *update {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(string(content), string(read(t, path))); diff != "" {
			t.Errorf("%s (-want +got; rewrite with make generate-crds):\n%s", path, diff)
		}
	}
	if diff := cmp.Diff(listed, list(t, got, ending)); diff != "" {
		t.Errorf("files of %s (-want +got):\n%s", got, diff)
	}
}

const header = `# Generated from api/v1alpha1: edit the types, then make generate-crds.
`

// strict makes an unknown field in a spec survive until the dialect refuses it
// by name (TRUST R19).
//
// By default an API server drops a field that the schema lacks. A client is told
// if it asks for strict validation, as kubectl does, or applies at the server's
// side; others are warned at most, and a policy with `conditons:` would be stored, and decided by, without
// its conditions. Nor does a schema have means to refuse what it does not list:
// additionalProperties: false is not structural, and CEL does not see the field.
// So every object in a spec keeps what it does not know, and a policy that was
// misspelled is not Ready rather than weaker. It costs kubectl's early answer.
//
// A status is ours to write, and keeps nothing.
func strict(t *testing.T, content []byte) []byte {
	t.Helper()
	var definition map[string]any
	if err := yaml.Unmarshal(content, &definition); err != nil {
		t.Fatal(err)
	}
	versions, _ := at(definition, "spec", "versions").([]any)
	for _, version := range versions {
		keepUnknown(at(version, "schema", "openAPIV3Schema", "properties", "spec"))
	}
	finished, err := yaml.Marshal(definition)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(header), finished...)
}

// keepUnknown marks every object of a schema that lists its fields.
func keepUnknown(schema any) {
	object, is := schema.(map[string]any)
	if !is {
		return
	}
	properties, lists := object["properties"].(map[string]any)
	if lists {
		object["x-kubernetes-preserve-unknown-fields"] = true
	}
	for _, property := range properties {
		keepUnknown(property)
	}
	keepUnknown(object["items"])
	keepUnknown(object["additionalProperties"])
}

// at walks down objects by name.
func at(object any, path ...string) any {
	for _, name := range path {
		fields, _ := object.(map[string]any)
		object = fields[name]
	}
	return object
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
