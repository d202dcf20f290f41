package schema_test

import (
	"maps"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/bonafide-dev/bonafide/dialect"
)

const wholePolicy = `
apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: misspelled}
spec:
  match: {namespaceSelector: {matchLabels: {team: a}, matchExpressions: [{key: tier, operator: In, values: [web]}]}}
  images: [registry.example.com/**]
  signers:
  - name: release
    sigstore: {keyless: {issuer: https://accounts.google.com, subject: release@example.com}, trustedRoot: {builtin: PublicGood}}
  - name: corp
    notation:
      trustStores: [{type: ca, certificates: {secretRef: {namespace: bonafide-system, name: roots}}}]
      trustedIdentities: ["x509.subject: C=US, ST=WA, O=acme"]
  - {name: both, atLeast: {count: 2, of: [release, corp]}}
  require:
  - signature: {anyOf: [both]}
  - attestation: {type: vuln, signedBy: {anyOf: [release]}, conditions: [{cel: "true"}]}
`

const wholeException = `
apiVersion: bonafide.dev/v1alpha1
kind: VerificationException
metadata: {name: misspelled}
spec:
  images: [registry.example.com/agent]
  match: {namespaces: [a], workloads: [{kind: Pod, name: agent}]}
  reason: the vendor signs from 4.2 on
  expires: "2026-01-31T18:00:00Z"
`

const wholeList = `
apiVersion: bonafide.dev/v1alpha1
kind: ImageDenyList
metadata: {name: misspelled}
spec: {images: [registry.example.com/fetcher], reason: published with a stolen token}
`

// unknownField is a field that no object has.
const unknownField = "misspelled"

// TestR19AnUnknownFieldSurvivesUntilItIsRefused misspells a field in every object
// of a spec. The API server must keep it, however it is written, so that the
// dialect can refuse it by name: a field that was dropped could have been the one
// that made the policy strict.
func TestR19AnUnknownFieldSurvivesUntilItIsRefused(t *testing.T) {
	c := cluster(t)
	for _, text := range []string{wholePolicy, wholeException, wholeList} {
		whole := decode(t, text)
		for _, path := range slices.Sorted(maps.Keys(objectsOf(whole))) {
			t.Run(whole.GetKind()+"/"+path, func(t *testing.T) {
				misspelled := whole.DeepCopy()
				objectsOf(misspelled)[path][unknownField] = "x"
				resource := client(t, c, misspelled)
				for how, store := range writers(t) {
					stored, err := store(resource, misspelled.DeepCopy())
					if err != nil {
						t.Errorf("%s: want it stored, got %v", how, err)
						continue
					}
					if !refuses(t, stored, path+"."+unknownField) {
						t.Errorf("%s: want the dialect to refuse %s.%s, got no such error", how, path, unknownField)
					}
					if err := resource.Delete(t.Context(), stored.GetName(), metav1.DeleteOptions{}); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// A writer stores an object.
type writer func(dynamic.ResourceInterface, *unstructured.Unstructured) (*unstructured.Unstructured, error)

// writers are the ways in which clients write. Without strict validation they
// would only be warned of a field that is dropped.
func writers(t *testing.T) map[string]writer {
	t.Helper()
	return map[string]writer{
		"create": func(r dynamic.ResourceInterface, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
			return r.Create(t.Context(), o, metav1.CreateOptions{})
		},
		"create strictly": func(r dynamic.ResourceInterface, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
			return r.Create(t.Context(), o, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		},
		"apply": func(r dynamic.ResourceInterface, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
			return r.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager})
		},
	}
}

// objectsOf returns the objects of a spec by path.
func objectsOf(object *unstructured.Unstructured) map[string]map[string]any {
	found := map[string]map[string]any{}
	var visit func(value any, path string)
	visit = func(value any, path string) {
		switch v := value.(type) {
		case map[string]any:
			found[path] = v
			for name, field := range v {
				if name != "matchLabels" { // any name is one of its own
					visit(field, path+"."+name)
				}
			}
		case []any:
			for i, item := range v {
				visit(item, dialect.At(path, i))
			}
		}
	}
	visit(object.Object["spec"], "spec")
	return found
}

// refuses reports whether the dialect has an error at the path.
func refuses(t *testing.T, stored *unstructured.Unstructured, path string) bool {
	t.Helper()
	document, err := dialect.FromObject(stored.Object)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(readingOf(t, []dialect.Document{document}).Errors, func(e string) bool {
		return len(e) > len(path) && e[:len(path)+2] == path+": "
	})
}
