package dialect

import (
	"errors"
	"fmt"
	"slices"
)

// Material finds what a policy refers to. Implementations are safe for
// concurrent use while policies are loaded.
type Material interface {
	// Secret returns a Secret, or an error that wraps [ErrNoMaterial] if there is
	// none, or another if that could not be told.
	Secret(namespace, name string) (Object, error)
	// ConfigMap is Secret for ConfigMaps.
	ConfigMap(namespace, name string) (Object, error)
	// File returns the content of a file that the document names. A relative path
	// begins at the directory of the document's own file.
	File(document Document, path string) ([]byte, error)
}

// ErrNoMaterial is wrapped by errors about an object that does not exist.
var ErrNoMaterial = errors.New("no such object")

// Object is a Secret or a ConfigMap. Its data is shared: do not change it.
type Object struct {
	Kind, Namespace, Name string
	Type                  string            // of a Secret, such as kubernetes.io/dockerconfigjson
	Data                  map[string][]byte // decoded
	Place                 string            // "file:line" if it came from a file
}

// Objects are the Secrets and ConfigMaps of a set of documents. The zero
// Objects holds none. It is immutable.
type Objects struct {
	all map[objectID]Object
}

type objectID struct{ kind, namespace, name string }

// Secret returns a Secret; the error wraps [ErrNoMaterial].
func (o Objects) Secret(namespace, name string) (Object, error) {
	return o.object(objectID{"Secret", namespace, name})
}

// ConfigMap returns a ConfigMap; the error wraps [ErrNoMaterial].
func (o Objects) ConfigMap(namespace, name string) (Object, error) {
	return o.object(objectID{"ConfigMap", namespace, name})
}

// Len returns how many objects there are.
func (o Objects) Len() int { return len(o.all) }

func (o Objects) object(id objectID) (Object, error) {
	if object, found := o.all[id]; found {
		return object, nil
	}
	return Object{}, fmt.Errorf("%w: %s %q", ErrNoMaterial, id.kind, id.namespace+"/"+id.name)
}

// materialKinds are read here, whatever the dialects.
func materialKinds() []Kind { return []Kind{{"v1", "Secret"}, {"v1", "ConfigMap"}} }

// secretDocument and configMapDocument are Secret and ConfigMap of
// Kubernetes' core/v1, of which only the data matters.
type secretDocument struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   any               `json:"metadata"`
	Type       string            `json:"type"`
	Immutable  bool              `json:"immutable"`
	Data       map[string][]byte `json:"data"`
	StringData map[string]string `json:"stringData"`
}

type configMapDocument struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   any               `json:"metadata"`
	Immutable  bool              `json:"immutable"`
	Data       map[string]string `json:"data"`
	BinaryData map[string][]byte `json:"binaryData"`
}

// defaultNamespace is where kubectl puts an object that names none.
const defaultNamespace = "default"

func namespaceOf(d Document) string {
	if d.Namespace == "" && slices.Contains(materialKinds(), d.Kind) {
		return defaultNamespace
	}
	return d.Namespace
}

// readObject decodes a Secret or ConfigMap. As in Kubernetes stringData wins
// over data, and a ConfigMap has no name in both of its maps.
func readObject(d Document) (Object, error) {
	o := Object{Kind: d.Kind.Kind, Namespace: namespaceOf(d), Name: d.Name, Place: d.Place(), Data: make(map[string][]byte)}
	if d.Kind.Kind == "Secret" {
		var s secretDocument
		if err := d.Decode(&s); err != nil {
			return Object{}, err
		}
		o.Type, o.Data = s.Type, s.Data
		if o.Data == nil {
			o.Data = make(map[string][]byte)
		}
		for name, value := range s.StringData {
			o.Data[name] = []byte(value)
		}
		return o, nil
	}
	var c configMapDocument
	if err := d.Decode(&c); err != nil {
		return Object{}, err
	}
	for name, value := range c.Data {
		o.Data[name] = []byte(value)
	}
	for name, value := range c.BinaryData {
		if _, twice := o.Data[name]; twice {
			return Object{}, Errors{d.Errorf(join("binaryData", name), "expected a name that data does not have, got one that it has")}
		}
		o.Data[name] = value
	}
	return o, nil
}
