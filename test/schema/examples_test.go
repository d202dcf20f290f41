package schema_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/rig"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// invalid is the folder of objects that the API server refuses.
const invalid = root + "/examples/invalid"

// TestExamplesApply applies every object of the native kinds that this
// repository shows or that dialect/native accepts, reads it back, and has the
// dialect read both forms. What the API server adds, defaults above all, must
// change nothing.
func TestExamplesApply(t *testing.T) {
	c := cluster(t)
	kinds := map[string]int{}
	for path, content := range shown(t) {
		t.Run(strings.TrimPrefix(path, root+"/"), func(t *testing.T) {
			applied := natives(t, content)
			stored := map[string]*unstructured.Unstructured{}
			for _, object := range applied {
				resource := client(t, c, object)
				if _, err := resource.Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager}); err != nil {
					t.Errorf("want it stored, got %v", err)
					continue
				}
				remove(t, c, object)
				withStatus(t, c, object)
				got, err := resource.Get(t.Context(), object.GetName(), metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				stored[got.GetKind()+" "+got.GetName()] = got
				kinds[got.GetKind()]++
			}
			if t.Failed() {
				return
			}
			documents, err := dialect.Parse(path, content)
			if err != nil {
				t.Fatal(err)
			}
			want := readingOf(t, documents)
			for i, d := range documents {
				if object := stored[d.Kind.Kind+" "+d.Name]; object != nil {
					if documents[i], err = dialect.FromObject(object.Object); err != nil {
						t.Fatalf("want a document, got %v", err)
					}
				}
			}
			if diff := cmp.Diff(want, readingOf(t, documents)); diff != "" {
				t.Errorf("as written and as stored (-written +stored):\n%s", diff)
			}
		})
	}
	for kind := range resources() {
		if kinds[kind] == 0 {
			t.Errorf("want an example of %s, got none", kind)
		}
	}
}

// shown returns the files with objects of the native kinds that must apply.
func shown(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, folder := range []string{root + "/examples", root + "/docs", root + "/dialect/native/testdata/valid"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Dir(path) == filepath.Clean(invalid) {
				return err
			}
			content, err := os.ReadFile(path)
			switch filepath.Ext(path) {
			case ".yaml", ".yml":
			case ".md":
				content = []byte(blocks(string(content)))
			default:
				return err
			}
			if strings.Contains(string(content), v1alpha1.GroupVersion+"\n") {
				files[path] = content
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// blocks returns the YAML blocks of a page that hold whole objects.
func blocks(page string) string {
	var documents []string
	for i, part := range strings.Split(page, "```") {
		text, is := strings.CutPrefix(part, "yaml\n")
		if i%2 == 1 && is && strings.Contains(text, "apiVersion:") {
			documents = append(documents, text)
		}
	}
	return strings.Join(documents, "\n---\n")
}

// withStatus writes what the controller writes, so that what is read back is
// what a watch sees.
func withStatus(t *testing.T, c *rig.Cluster, object *unstructured.Unstructured) {
	t.Helper()
	status := map[string]any{
		"observedGeneration": int64(1), "weakenings": []any{"spec.mode: Audit admits what the policy refuses"},
		"conditions": []any{map[string]any{
			"type": v1alpha1.ConditionReady, "status": "True", "reason": v1alpha1.ReasonInForce, "message": "",
			"observedGeneration": int64(1), "lastTransitionTime": "2026-01-02T03:04:05Z",
		}},
	}
	if slices.Contains([]string{v1alpha1.ClusterVerificationPolicyKind, v1alpha1.VerificationPolicyKind}, object.GetKind()) {
		status["matched"], status["denied"] = int64(12), int64(3)
	}
	written := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": object.GetAPIVersion(), "kind": object.GetKind(),
		"metadata": map[string]any{"name": object.GetName()}, "status": status,
	}}
	if _, err := client(t, c, object).ApplyStatus(t.Context(), object.GetName(), written, metav1.ApplyOptions{FieldManager: "leader"}); err != nil {
		t.Errorf("want a status, got %v", err)
	}
}

// A reading is what the dialect made of documents, as far as people see it.
type reading struct {
	Compiled []string
	Notes    []string
	Errors   []string
}

// itemOf is where an object of a List stands in its file.
var itemOf = regexp.MustCompile(`^items\[[0-9]+\]\.`)

// readingOf compiles documents. Lines differ between a file and what is stored,
// so they are left out.
func readingOf(t *testing.T, documents []dialect.Document) reading {
	t.Helper()
	root, err := sigstore.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	signers := policyset.NewSigners(root)
	signers.Material = nothingYet{}
	var r reading
	d := native.New(signers, native.Options{ClusterAvailable: true})
	all, _ := dialect.Loader{Dialects: []dialect.Dialect{d}}.LoadEach(documents)
	for _, one := range all {
		for _, e := range dialect.ErrorsOf(one.Err, "") {
			r.Errors = append(r.Errors, itemOf.ReplaceAllString(e.Path+": "+e.Message, ""))
		}
		for _, p := range one.Policies {
			r.add(p.Origin, p.Notes)
		}
		for _, e := range one.Rulings.Exceptions {
			r.add(e.Origin, e.Notes)
		}
		for _, d := range one.Rulings.Denials {
			r.add(d.Origin, d.Notes)
		}
	}
	slices.Sort(r.Errors)
	return r
}

func (r *reading) add(origin policy.Origin, notes []policy.Note) {
	r.Compiled = append(r.Compiled, origin.Kind+" "+origin.Name)
	for _, n := range notes {
		r.Notes = append(r.Notes, itemOf.ReplaceAllString(n.Path+": "+n.Text, ""))
	}
}

// nothingYet is what is known of far keys and trusted roots before they answered.
type nothingYet struct{}

func (nothingYet) TrustedRoot(dialect.TUFSpec) ([]byte, error) {
	return nil, &evidence.Problem{Reason: evidence.TrustRootUnavailable}
}

func (nothingYet) PublicKey(string) ([]byte, error) {
	return nil, &evidence.Problem{Reason: evidence.KeyUnavailable}
}
