package workload

import (
	"fmt"

	"github.com/bonafide-dev/bonafide/evidence"
)

const (
	// maxObject bounds the bytes of one object: above the 3 MiB that the API
	// server takes in a request (k8s.io/apiserver, MaxRequestBodyBytes).
	maxObject = 4 << 20
	// maxImages bounds the images of one object, each of which is a decision:
	// far above what a node can run in one Pod.
	maxImages = 1024
)

// mirrorAnnotation marks the API server's mirror of a static Pod.
const mirrorAnnotation = "kubernetes.io/config.mirror"

// Read reads an object from its JSON, at most 4 MiB, as [Walk] does. Names are
// matched by case, and one that occurs twice anywhere in the object is refused:
// two readers could take two images for one. Read is safe for concurrent use.
func Read(raw []byte) (Object, error) {
	if len(raw) > maxObject {
		return Object{}, malformed("", fmt.Sprintf("at most %d bytes", maxObject), fmt.Sprint(len(raw)), nil)
	}
	var root map[string]any
	if err := evidence.DecodeJSON(raw, &root); err != nil {
		return Object{}, malformed("", "an object in JSON", "something else", err)
	}
	return Walk(root)
}

// Walk reads an object that was decoded from JSON. The error is an
// [*evidence.Problem] with reason UnknownKind or MalformedObject, its path the
// JSON pointer of what could not be read. A null is read as absent, as the API
// server reads it.
//
// Every place that names an image is returned, also one whose reference is
// missing or empty: its Ref is "", which no parser takes for a name, so that it
// is refused where it is decided. Only image volumes of kinds other than Pod may
// leave their reference out, as the API server lets them: nothing runs by such a
// template before a Pod is made of it, and the Pod is decided itself.
func Walk(root map[string]any) (Object, error) {
	var w walker
	top := w.object(root, "")
	if root == nil {
		w.want("", "an object", nil)
	}
	o := Object{APIVersion: w.text(top, "apiVersion"), Kind: w.text(top, "kind")}
	if w.err != nil {
		return Object{}, w.err
	}
	path, problem := specPath(o.APIVersion, o.Kind)
	if problem != nil {
		return Object{}, problem
	}
	w.metadata(&o, w.optional(top, "metadata"))
	spec := top
	for _, name := range path {
		if spec = w.required(spec, name); w.err != nil {
			return Object{}, w.err
		}
	}
	w.podSpec(&o, spec)
	if w.err != nil {
		return Object{}, w.err
	}
	if len(o.Images) > maxImages {
		return Object{}, malformed(spec.pointer, fmt.Sprintf("at most %d images", maxImages), fmt.Sprint(len(o.Images)), nil)
	}
	return o, nil
}

func (w *walker) metadata(o *Object, meta object) {
	o.Name, o.Namespace = w.text(meta, "name"), w.text(meta, "namespace")
	if prefix := w.text(meta, "generateName"); o.Name == "" && prefix != "" {
		o.Name = prefix + "*"
	}
	if labels := w.optional(meta, "labels"); len(labels.members) > 0 {
		o.Labels = make(map[string]string, len(labels.members))
		for name := range labels.members {
			o.Labels[name] = w.text(labels, name)
		}
	}
	_, mirror := w.optional(meta, "annotations").members[mirrorAnnotation]
	o.Mirror = mirror && o.isPod()
	for _, owner := range w.objects(meta, "ownerReferences") {
		controller, _ := owner.members["controller"].(bool)
		o.Owners = append(o.Owners, Owner{
			APIVersion: w.text(owner, "apiVersion"), Kind: w.text(owner, "kind"), Name: w.text(owner, "name"), Controller: controller,
		})
	}
}
