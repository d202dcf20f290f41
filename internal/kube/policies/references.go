package policies

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

const (
	// settleTime is how long a policy waits for an object that it names before it
	// counts as one that cannot be read. The API server answers within
	// milliseconds; what takes longer than this is no passing trouble.
	settleTime = 5 * time.Second
)

const (
	secretKind    = "Secret"
	configMapKind = "ConfigMap"
)

// reference names a Secret or a ConfigMap.
type reference struct{ kind, namespace, name string }

func (r reference) String() string { return fmt.Sprintf("%s %q", r.kind, r.namespace+"/"+r.name) }

// errSettling says that a reference is watched since a moment ago. Whoever meets
// it asks again later.
var errSettling = errors.New("not read yet")

// material is what is known of a reference. Two are equal if a policy that names
// the object would be the same.
type material struct {
	state  materialState
	digest imageref.Digest // of the object's content
}

type materialState uint8

const (
	settling materialState = iota
	absent
	present
	unreadable
)

// references watches the objects that policies name. It is used by one goroutine.
type references struct {
	client  kubernetes.Interface
	now     func() time.Time
	changed func()
	wait    *sync.WaitGroup

	watched map[reference]*watchedReference
	refused map[claim]string // and why
}

type watchedReference struct {
	objects *mirror[referenced]
	since   time.Time
	stop    func()
}

// referenced is the object of a reference.
type referenced struct {
	object dialect.Object
	digest imageref.Digest
}

// look returns what is known of a reference now. One that is not watched yet is
// settling: see keep.
func (r *references) look(c claim) (material, dialect.Object, error) {
	name := c.reference
	if why, refused := r.refused[c]; refused {
		return material{state: unreadable}, dialect.Object{}, unavailable(name, errors.New(why))
	}
	w := r.watched[name]
	if w == nil {
		return material{state: settling}, dialect.Object{}, fmt.Errorf("%s: %w", name, errSettling)
	}
	synced, err := w.objects.state()
	if synced {
		found, exists := w.objects.get(objectKey(name.namespace, name.name))
		if !exists {
			return material{state: absent}, dialect.Object{}, unavailable(name, dialect.ErrNoMaterial)
		}
		return material{present, found.digest}, found.object, nil
	}
	if apierrors.IsForbidden(err) || r.now().Sub(w.since) > settleTime {
		if err == nil {
			err = errSettling
		}
		return material{state: unreadable}, dialect.Object{}, unavailable(name, err)
	}
	return material{state: settling}, dialect.Object{}, fmt.Errorf("%s: %w", name, errSettling)
}

// unavailable is why a policy does not compile whose key is not to be had. The
// API server's words are kept: they say which permission is missing.
func unavailable(name reference, err error) error {
	return &evidence.Problem{Reason: evidence.KeyUnavailable, Expected: name.String(), Got: "none that can be read", Err: err}
}

func (r *references) begin(ctx context.Context, name reference) {
	from := lists{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if name.kind == secretKind {
				return r.client.CoreV1().Secrets(name.namespace).List(ctx, o)
			}
			return r.client.CoreV1().ConfigMaps(name.namespace).List(ctx, o)
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if name.kind == secretKind {
				return r.client.CoreV1().Secrets(name.namespace).Watch(ctx, o)
			}
			return r.client.CoreV1().ConfigMaps(name.namespace).Watch(ctx, o)
		},
	}
	w := &watchedReference{objects: &mirror[referenced]{reduce: reduceReferenced, changed: r.changed, now: r.now}, since: r.now()}
	w.stop = w.objects.start(ctx, from, name.name, r.wait)
	r.watched[name] = w
}

// keep watches what is named, as far as there is room for it, and nothing else.
func (r *references) keep(ctx context.Context, named map[claim]bool) {
	granted, refused := admit(named)
	for name, w := range r.watched {
		if !granted[name] {
			w.stop()
			delete(r.watched, name)
		}
	}
	for _, wide := range []bool{true, false} { // those of the whole cluster wait for no namespace's
		for name := range granted {
			if _, of := named[claim{"", name}]; r.watched[name] == nil && of == wide {
				r.begin(ctx, name)
			}
		}
	}
	if !maps.Equal(refused, r.refused) {
		r.refused = refused
		r.changed() // policies are others by it
	}
}

// objects returns those that exist.
func (r *references) objects() dialect.Objects {
	var all []dialect.Object
	for name, w := range r.watched {
		if found, exists := w.objects.get(objectKey(name.namespace, name.name)); exists {
			all = append(all, found.object)
		}
	}
	return dialect.NewObjects(all...)
}

func reduceReferenced(o runtime.Object, old referenced) (referenced, bool) {
	var reduced referenced
	switch v := o.(type) {
	case *corev1.Secret:
		reduced.object = dialect.Object{Kind: secretKind, Namespace: v.Namespace, Name: v.Name, Type: string(v.Type), Data: v.Data}
	case *corev1.ConfigMap:
		data := make(map[string][]byte, len(v.Data)+len(v.BinaryData))
		maps.Copy(data, v.BinaryData)
		for name, text := range v.Data {
			data[name] = []byte(text)
		}
		reduced.object = dialect.Object{Kind: configMapKind, Namespace: v.Namespace, Name: v.Name, Data: data}
	}
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "%q", reduced.object.Type) // a hash takes everything
	for _, name := range slices.Sorted(maps.Keys(reduced.object.Data)) {
		_, _ = fmt.Fprintf(hash, "%q %d ", name, len(reduced.object.Data[name]))
		_, _ = hash.Write(reduced.object.Data[name])
	}
	reduced.digest = imageref.DigestOf(hash.Sum(nil))
	return reduced, reduced.digest != old.digest
}

// reader is the material of one compilation: it remembers what was asked for.
type reader struct {
	references *references
	owner      string                       // namespace of the policy, if it is of one
	kept       map[reference]dialect.Object // where not nil, these are read instead

	seen     map[reference]material
	objects  map[reference]dialect.Object
	settling bool
}

// Secret implements [dialect.ObjectReader].
func (r *reader) Secret(namespace, name string) (dialect.Object, error) {
	return r.read(reference{secretKind, namespace, name})
}

// ConfigMap implements [dialect.ObjectReader].
func (r *reader) ConfigMap(namespace, name string) (dialect.Object, error) {
	return r.read(reference{configMapKind, namespace, name})
}

func (r *reader) read(name reference) (dialect.Object, error) {
	if r.kept != nil {
		if object, known := r.kept[name]; known {
			return object, nil
		}
		return dialect.Object{}, unavailable(name, dialect.ErrNoMaterial)
	}
	now, object, err := r.references.look(claim{r.owner, name})
	r.seen[name] = now
	r.settling = r.settling || now.state == settling
	if err == nil {
		r.objects[name] = object
	}
	return object, err
}
