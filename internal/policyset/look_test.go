package policyset

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// anything is a dialect that makes a policy of each of its documents.
type anything struct{}

func (anything) Kinds() []dialect.Kind { return []dialect.Kind{{APIVersion: "v1", Kind: "Any"}} }

func (anything) Policies(d dialect.Document, _ dialect.Material) ([]policy.Policy, error) {
	return []policy.Policy{{Origin: policy.Origin{Name: d.Name}, Require: policy.All{}}}, nil
}

// TestLook counts how many looks a change takes: ticks of a running Watcher
// cannot, since a look and the test's next write overlap.
func TestLook(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.yaml")
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("{apiVersion: v1, kind: Any, metadata: {name: "+name+"}}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		reason string
		looks  []string // what is written before each look
		want   []string // what is loaded at each
	}{
		"Rests":    {"the second look finds it at rest", []string{"b", "b", "b"}, []string{"", "b", ""}},
		"Moves":    {"the look after the last change does", []string{"b", "c", "c", "c"}, []string{"", "", "c", ""}},
		"Returns":  {"what came back is no change", []string{"b", "a", "a"}, []string{"", "", ""}},
		"Restless": {"it is not waited for without end", []string{"b", "c", "d", "e", "f", "g"}, []string{"", "", "", "e", "", ""}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			write("a")
			w, _, err := NewWatcher([]string{file}, Options{Dialects: []dialect.Dialect{anything{}}})
			if err != nil {
				t.Fatal(err)
			}
			for i, content := range tc.looks {
				write(content)
				loaded := ""
				w.look(func(s Set, err error) {
					if err != nil {
						t.Fatal(err)
					}
					loaded = s.Policies[0].Origin.Name
				})
				if loaded != tc.want[i] {
					t.Errorf("%s: look %s: expected to load %q, got %q", tc.reason, strconv.Itoa(i), tc.want[i], loaded)
				}
			}
		})
	}
}
