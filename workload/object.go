package workload

// Image is one place where an object names an image.
type Image struct {
	// Name is the container's or volume's name. It may be empty.
	Name string
	// List is the list that holds it: containers, initContainers,
	// ephemeralContainers or volumes.
	List string
	// Pointer is the place of the reference in the object (RFC 6901), such as
	// "/spec/template/spec/containers/0/image". If Ref is "", nothing may be
	// there.
	Pointer string
	// Ref is the reference as it is written; "" if it is missing.
	Ref string
}

// Object is what a decision needs to know of a Kubernetes object. All of it is
// the word of whoever wrote the object.
type Object struct {
	APIVersion string
	Kind       string
	Namespace  string // empty if the object does not say
	Name       string // generateName with a trailing "*" if there is no name
	Labels     map[string]string
	Owners     []Owner
	// ServiceAccount and PullSecrets are those of the Pod or of the template. An
	// empty ServiceAccount is the namespace's "default".
	ServiceAccount string
	PullSecrets    []string
	// Mirror reports a Pod with the annotation of a static Pod's mirror, which
	// kubelet does not run. It never frees an image (TRUST R46).
	Mirror bool
	Images []Image
}

func (o Object) isPod() bool { return o.APIVersion == "v1" && o.Kind == "Pod" }

// Owner is an owner reference.
type Owner struct {
	APIVersion, Kind, Name string
	Controller             bool
}

// Changed returns the images of object that are not byte-equal, list, name and
// reference, to one of the stored old object: those that an UPDATE does not
// free (TRUST R42). Each old image frees one new one.
func Changed(old, object Object) []Image {
	type place struct{ list, name, ref string }
	stored := map[place]int{}
	for _, i := range old.Images {
		stored[place{i.List, i.Name, i.Ref}]++
	}
	var changed []Image
	for _, i := range object.Images {
		p := place{i.List, i.Name, i.Ref}
		if stored[p] > 0 {
			stored[p]--
			continue
		}
		changed = append(changed, i)
	}
	return changed
}
