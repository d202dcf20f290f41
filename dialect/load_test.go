package dialect_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

func load(t *testing.T, text string, d dialect.Dialect) ([]policy.Policy, dialect.Objects, error) {
	t.Helper()
	documents, err := dialect.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return dialect.Loader{Dialects: []dialect.Dialect{d}}.Load(documents)
}

const secrets = `
apiVersion: v1
kind: Secret
metadata: {name: a, namespace: shop}
type: kubernetes.io/dockerconfigjson
immutable: true
data: {x: aGk=, y: aG8=}
stringData: {y: text}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: shop}
data: {x: text}
binaryData: {y: aGk=}
`

func TestObjects(t *testing.T) {
	_, objects, err := load(t, secrets, sampleDialect{})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := objects.Secret("shop", "a")
	if err != nil {
		t.Fatal(err)
	}
	want := dialect.Object{
		Kind: "Secret", Namespace: "shop", Name: "a", Type: "kubernetes.io/dockerconfigjson", Place: "f.yaml:2",
		Data: map[string][]byte{"x": []byte("hi"), "y": []byte("text")},
	}
	if diff := cmp.Diff(want, secret); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	configMap, err := objects.ConfigMap("shop", "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]byte{"x": []byte("text"), "y": []byte("hi")}, configMap.Data); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if objects.Len() != 2 {
		t.Errorf("expected 2 objects, got %d", objects.Len())
	}
	if _, err := objects.Secret("other", "a"); !errors.Is(err, dialect.ErrNoMaterial) {
		t.Errorf("expected ErrNoMaterial, got %v", err)
	}
	if _, err := (dialect.Objects{}).ConfigMap("shop", "a"); !errors.Is(err, dialect.ErrNoMaterial) {
		t.Errorf("expected ErrNoMaterial of the zero Objects, got %v", err)
	}
}

func TestMaterialReachesTheDialect(t *testing.T) {
	d := sampleDialect{policies: func(d dialect.Document, m dialect.Material) ([]policy.Policy, error) {
		if _, err := m.Secret("shop", "a"); err != nil {
			return nil, err
		}
		if _, err := m.File(d, "x"); !errors.Is(err, dialect.ErrNoMaterial) {
			t.Errorf("expected files to be refused without ReadFile, got %v", err)
		}
		return []policy.Policy{{Require: policy.All{}}}, nil
	}}
	// The Secret comes after the policy that refers to it.
	policies, _, err := load(t, sampleKind+"---"+secrets, d)
	if err != nil || len(policies) != 1 {
		t.Errorf("expected one policy, got %d, %v", len(policies), err)
	}
}

func TestLoadKeepsOrderAndCollectsErrors(t *testing.T) {
	text := sampleKind + "---\n" + strings.Replace(sampleKind, "name: s", "name: r", 1)
	policies, _, err := load(t, text, sampleDialect{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"s f.yaml:1", "r f.yaml:5"}, []string{
		policies[0].Origin.Name + " " + policies[0].Origin.File, policies[1].Origin.Name + " " + policies[1].Origin.File,
	}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, _, err = load(t, text, sampleDialect{policies: func(d dialect.Document, _ dialect.Material) ([]policy.Policy, error) {
		return nil, fmt.Errorf("%s: %w", d.Name, errBoom)
	}})
	if all := dialect.ErrorsOf(err, ""); len(all) != 2 || !errors.Is(err, errBoom) {
		t.Errorf("expected two errors, got %v", err)
	}
}

func TestDuplicatesNameBothPlaces(t *testing.T) {
	_, _, err := load(t, sampleKind+"---\n"+sampleKind, sampleDialect{})
	if diff := cmp.Diff(`f.yaml:7: metadata.name: Sample "s" is already in f.yaml:1`, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestR48DialectThatRequiresNothing(t *testing.T) {
	policies, _, err := load(t, sampleKind, sampleDialect{policies: func(dialect.Document, dialect.Material) ([]policy.Policy, error) {
		return []policy.Policy{{Origin: policy.Origin{Name: "s"}}}, nil
	}})
	if err == nil || len(policies) != 0 {
		t.Errorf("expected a policy without requirement to be refused, got %v", policies)
	}
}

func TestR47ErrorsRepeatNoSecret(t *testing.T) {
	for name, body := range map[string]string{
		"Number":   "data: {a: 424242}",
		"Base64":   "data: {a: '*hunter2*'}",
		"List":     "stringData: {a: [hunter2]}",
		"Type":     "stringData: hunter2",
		"Repeated": "stringDat: {a: hunter2}",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\n"+body+"\n", sampleDialect{})
			if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "424242") {
				t.Errorf("expected an error without the value, got %v", err)
			}
		})
	}
}

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadFiles(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"b.yaml": "b", "a.yml": "a", "c.json": "c", "README.md": "no", ".hidden.yaml": "no", "sub/d.yaml": "no", "sub.yaml/e.yaml": "no",
		"..data/f.yaml": "f",
	})
	if err := os.Symlink(filepath.Join("..data", "f.yaml"), filepath.Join(folder, "f.yaml")); err != nil {
		t.Fatal(err)
	}
	files, err := dialect.ReadFiles([]string{folder, filepath.Join(folder, "sub", "d.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		name, _ := filepath.Rel(folder, f.Name)
		got = append(got, filepath.ToSlash(name)+" "+string(f.Content))
	}
	if diff := cmp.Diff([]string{"a.yml a", "b.yaml b", "c.json c", "f.yaml f", "sub/d.yaml no"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadFilesErrors(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"empty/README.md": "x", "big/a.yaml": strings.Repeat("x", 5<<20), "ok/a.yaml": "x"})
	if err := os.Symlink("nowhere.yaml", filepath.Join(folder, "ok", "b.yaml")); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"Absent": "absent.yaml", "EmptyFolder": "empty", "TooBig": "big", "BrokenLink": "ok", "Device": "/dev/null",
	} {
		t.Run(name, func(t *testing.T) {
			if !filepath.IsAbs(path) {
				path = filepath.Join(folder, path)
			}
			_, err := dialect.ReadFiles([]string{path})
			var one *dialect.Error
			if !errors.As(err, &one) || one.File == "" || one.Message == "" {
				t.Errorf("expected an error that names a file, got %v", err)
			}
		})
	}
	if files, err := dialect.ReadFiles(nil); len(files) != 0 || err != nil {
		t.Errorf("expected no files of no paths, got %v, %v", files, err)
	}
}

// linking is a dialect whose documents know of each other.
type linking struct {
	sampleDialect

	seen []string
}

func (d linking) Link(documents []dialect.Document) dialect.Dialect {
	for _, document := range documents {
		d.seen = append(d.seen, document.Name)
	}
	return d
}

func (d linking) Policies(document dialect.Document, _ dialect.Material) ([]policy.Policy, error) {
	return []policy.Policy{{Origin: policy.Origin{Name: document.Name + " sees " + strings.Join(d.seen, " ")}, Require: policy.All{}}}, nil
}

// TestObjectsWithoutNamespaceAreInDefault: where kubectl would put them, and
// nowhere twice.
func TestObjectsWithoutNamespaceAreInDefault(t *testing.T) {
	const keys = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keys%s}\ndata: {a: b}\n"
	_, objects, err := load(t, fmt.Sprintf(keys, ""), sampleDialect{})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := objects.ConfigMap("default", "keys"); err != nil || o.Namespace != "default" {
		t.Errorf("want it in namespace default, got %+v, %v", o, err)
	}
	if _, _, err := load(t, fmt.Sprintf(keys, "")+"---\n"+fmt.Sprintf(keys, ", namespace: default"), sampleDialect{}); err == nil {
		t.Error("the same object with and without its namespace: want an error, got none")
	}
}

// TestLinkerSeesItsDocuments: all documents of its kinds, no others, and anew
// for each load.
func TestLinkerSeesItsDocuments(t *testing.T) {
	text := sampleKind + "---\n" + strings.Replace(sampleKind, "name: s", "name: r", 1) + "---" + secrets
	loader := dialect.Loader{Dialects: []dialect.Dialect{linking{}}}
	for range 2 {
		documents, err := dialect.Parse("f.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		policies, _, err := loader.Load(documents)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range policies {
			got = append(got, p.Origin.Name)
		}
		if diff := cmp.Diff([]string{"s sees s r", "r sees s r"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
