package policies

import (
	"encoding/json"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
)

// object is what is kept of an object that a dialect reads. It is immutable.
type object struct {
	namespace, name string
	uid             types.UID
	generation      int64
	// written is what its author wrote, and digest identifies that: neither status
	// nor bookkeeping is part of it, so that a status that is written makes nothing
	// new.
	digest   imageref.Digest
	document dialect.Document
	err      error          // why there is no document
	status   map[string]any // as it was last seen
}

// lastApplied is kubectl's copy of the object, which says nothing new.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// reduceObject is a mirror's reduce.
func reduceObject(o runtime.Object, old *object) (*object, bool) {
	u, is := o.(*unstructured.Unstructured)
	if !is {
		return &object{err: fmt.Errorf("expected an object, got %T", o)}, true
	}
	reduced := &object{namespace: u.GetNamespace(), name: u.GetName(), uid: u.GetUID(), generation: u.GetGeneration()}
	reduced.status, _ = u.Object["status"].(map[string]any)
	written := authored(u)
	content, err := json.Marshal(written)
	if err != nil { // it was JSON a moment ago
		reduced.err = fmt.Errorf("write the object as JSON: %w", err)
		return reduced, true
	}
	reduced.digest = imageref.DigestOf(content)
	if old != nil && old.digest == reduced.digest {
		reduced.document, reduced.err = old.document, old.err
		return reduced, old.uid != reduced.uid || old.generation != reduced.generation
	}
	reduced.document, reduced.err = documentOf(written)
	return reduced, true
}

// documentOf is dialect.FromObject, whose panic is an error of the object alone.
func documentOf(written map[string]any) (document dialect.Document, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error while the object was read: %v", p)
		}
	}()
	return dialect.FromObject(written)
}

// authored returns what the author of an object wrote, and when it was created,
// by which an exception's life is judged.
func authored(u *unstructured.Unstructured) map[string]any {
	written := maps.Clone(u.Object)
	delete(written, "status")
	all, _ := written["metadata"].(map[string]any)
	metadata := make(map[string]any)
	for _, name := range []string{"name", "namespace", "labels", "annotations", "creationTimestamp"} {
		if value, set := all[name]; set && value != nil {
			metadata[name] = value
		}
	}
	if annotations, set := metadata["annotations"].(map[string]any); set {
		annotations = maps.Clone(annotations)
		delete(annotations, lastApplied)
		if metadata["annotations"] = annotations; len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	written["metadata"] = metadata
	return written
}
