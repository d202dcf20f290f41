package dialect_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// TestFromObject: an object means what its text means.
func TestFromObject(t *testing.T) {
	d, err := dialect.FromObject(map[string]any{
		"apiVersion": "v1", "kind": "K", "metadata": map[string]any{"name": "n", "namespace": "s"},
		"text": "true\u0085", "number": int64(7), "part": 1.5, "yes": true, "list": []any{"a", map[string]any{"b": "c"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.Kind != (dialect.Kind{APIVersion: "v1", Kind: "K"}) || d.Name != "n" || d.Namespace != "s" || d.Place() != "" {
		t.Errorf("expected the header of the object, got %+v", d)
	}
	type whole struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]string `json:"metadata"`
		Text       string            `json:"text"`
		Number     int               `json:"number"`
		Part       float64           `json:"part"`
		Yes        bool              `json:"yes"`
		List       []any             `json:"list"`
	}
	var got whole
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := whole{"v1", "K", map[string]string{"name": "n", "namespace": "s"}, "true\u0085", 7, 1.5, true, []any{"a", map[string]any{"b": "c"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFromObjectIsBounded(t *testing.T) {
	deep := map[string]any{}
	for at, i := deep, 0; i < 100; i++ {
		next := map[string]any{}
		at["a"], at = next, next
	}
	for name, object := range map[string]map[string]any{
		"Deep": deep, "Wide": {"a": make([]any, 100_001)}, "NotJSON": {"a": struct{}{}}, "NoHeader": {"a": "b"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dialect.FromObject(object)
			var one *dialect.Error
			if !errors.As(err, &one) {
				t.Errorf("expected an error, got %v", err)
			}
		})
	}
}

// FuzzFromObject: the tree of an object and that of its text are one.
func FuzzFromObject(f *testing.F) {
	f.Add("text", int64(1), 1.5, true)
	f.Add("on", int64(-1), 1e300, false)
	f.Fuzz(func(t *testing.T, s string, i int64, x float64, b bool) {
		d, err := dialect.FromObject(map[string]any{"apiVersion": "v1", "kind": "K", "metadata": map[string]any{"name": "n"}, "s": s, "i": i, "b": b, "x": []any{x}})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got["s"] != s || got["b"] != b {
			t.Errorf("expected %q and %t, got %q and %v", s, b, got["s"], got["b"])
		}
	})
}

// ruling is a dialect with rulings.
type ruling struct{ sampleDialect }

func (ruling) RulingKinds() []dialect.Kind {
	return []dialect.Kind{{APIVersion: "example.com/v1", Kind: "Ruling"}}
}

func (ruling) Rulings(d dialect.Document) (dialect.Rulings, error) {
	if d.Name == "bad" {
		return dialect.Rulings{}, errBoom
	}
	return dialect.Rulings{Denials: []policy.Denial{{Reason: d.Name}}}, nil
}

// TestR18LoadEachKeepsFaultsApart: what is wrong with one document leaves the
// others as they are.
func TestR18LoadEachKeepsFaultsApart(t *testing.T) {
	const head = "---\napiVersion: example.com/v1\nkind: %s\nmetadata: {name: %s}\n"
	text := fmt.Sprintf(head+head+head+head+head, "Sample", "a", "Unknown", "b", "Ruling", "c", "Ruling", "bad", "Sample", "a")
	documents, err := dialect.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	loader := dialect.Loader{Dialects: []dialect.Dialect{ruling{}}}
	all, _ := loader.LoadEach(documents)
	var got []string
	for _, one := range all {
		got = append(got, fmt.Sprintf("%s %d %d %t", one.Document.Name, len(one.Policies), len(one.Rulings.Denials), one.Err != nil))
	}
	if diff := cmp.Diff([]string{"a 1 0 false", "b 0 0 true", "c 0 1 false", "bad 0 0 true", "a 0 0 true"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !errors.Is(all[3].Err, errBoom) {
		t.Errorf("expected the cause, got %v", all[3].Err)
	}
	if _, _, err := loader.Load(documents[2:3]); err == nil {
		t.Error("R48: a ruling where policies alone are asked for: want an error, got none")
	}
}

// objectsElsewhere finds one Secret.
type objectsElsewhere struct{ dialect.Objects }

func TestElsewhereIsAskedAfterTheDocuments(t *testing.T) {
	var got []string
	d := sampleDialect{policies: func(_ dialect.Document, m dialect.Material) ([]policy.Policy, error) {
		for _, name := range []string{"a", "b", "c"} {
			o, err := m.Secret("shop", name)
			got = append(got, fmt.Sprintf("%s %t", o.Place, errors.Is(err, dialect.ErrNoMaterial)))
		}
		return nil, nil
	}}
	documents, err := dialect.Parse("f.yaml", []byte(sampleKind+"---"+secrets))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := objectsElsewhere{dialect.NewObjects(
		dialect.Object{Kind: "Secret", Namespace: "shop", Name: "a", Place: "elsewhere"}, dialect.Object{Kind: "Secret", Namespace: "shop", Name: "b", Place: "elsewhere"},
	)}
	dialect.Loader{Dialects: []dialect.Dialect{d}, Elsewhere: elsewhere}.LoadEach(documents)
	if diff := cmp.Diff([]string{"f.yaml:5 false", "elsewhere false", " true"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
