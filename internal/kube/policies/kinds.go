package policies

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/bonafide-dev/bonafide/dialect"
)

// definitions are where custom resource definitions are.
var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// Definitions returns the custom resources that the dialects read, each once, in
// order. The name of a definition is "resource.group".
func Definitions(dialects []dialect.Dialect) []schema.GroupResource {
	var all []schema.GroupResource
	for _, d := range dialects {
		for _, k := range kindsOf(d) {
			all = append(all, k.resource)
		}
	}
	return all
}

// kind is one kind of objects, in whichever version.
type kind struct {
	dialect  int // its index
	name     string
	resource schema.GroupResource
	versions []string // that the dialect reads, the best first
}

// kindsOf returns the kinds of a dialect in its order.
func kindsOf(d dialect.Dialect) []kind {
	var all []kind
	for _, k := range dialect.KindsOf(d) {
		version, err := schema.ParseGroupVersion(k.APIVersion)
		if err != nil || version.Group == "" {
			continue // files alone hold such a kind
		}
		// How the API conventions name resources; the definition's own names are
		// compared with it.
		plural, _ := meta.UnsafeGuessKindToResource(version.WithKind(k.Kind))
		at := slices.IndexFunc(all, func(other kind) bool { return other.resource == plural.GroupResource() })
		if at < 0 {
			at = len(all)
			all = append(all, kind{name: k.Kind, resource: plural.GroupResource()})
		}
		all[at].versions = append(all[at].versions, version.Version)
	}
	return all
}

// watched is a kind, whether there is one, and its objects.
type watched struct {
	kind
	required   bool // a cluster without it is not complete
	definition *mirror[definition]

	version string           // that is watched, or was last; empty: none
	objects *mirror[*object] // as they are, or were when they could last be read
	stop    func()           // nil while nothing is watched
	trouble *trouble         // why it cannot be read; nil: it can, or there is none
}

// definition is what is kept of a custom resource definition.
type definition struct {
	established bool
	kind        string
	served      string // versions, in the definition's order, between commas
}

func reduceDefinition(o runtime.Object, old definition) (definition, bool) {
	u, is := o.(*unstructured.Unstructured)
	if !is {
		return definition{}, true
	}
	var d definition
	d.kind, _, _ = unstructured.NestedString(u.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(u.Object, "spec", "versions")
	for _, entry := range versions {
		version, _ := entry.(map[string]any)
		if name, _ := version["name"].(string); version["served"] == true {
			d.served += name + ","
		}
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, entry := range conditions {
		condition, _ := entry.(map[string]any)
		d.established = d.established || condition["type"] == "Established" && condition["status"] == "True"
	}
	return d, d != old
}

// resourceLists read a resource through the dynamic client.
func resourceLists(client dynamic.Interface, resource schema.GroupVersionResource) lists {
	return lists{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.Resource(resource).List(ctx, o)
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Resource(resource).Watch(ctx, o)
		},
	}
}
