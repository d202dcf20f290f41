package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/internal/spelling"
	"github.com/bonafide-dev/bonafide/policy"
)

// Dialect translates documents of its kinds into policies.
type Dialect interface {
	// Kinds returns the kinds that the dialect reads.
	Kinds() []Kind
	// Policies returns the policies that a document holds, in the document's
	// order, each with a requirement. It is called for documents of its kinds
	// alone. The error is [Errors] and holds everything that is wrong; a document
	// with an error holds no policy.
	Policies(Document, Material) ([]policy.Policy, error)
}

// Linker is a Dialect whose documents refer to each other by name.
type Linker interface {
	Dialect
	// Link returns the dialect as it reads these documents, which are all that
	// there are of its kinds, in order. It must not change the Linker, and what is
	// wrong with a document is an error of Policies for that document.
	Link(documents []Document) Dialect
}

// Loader turns documents into policies and rulings. The zero Loader reads none.
type Loader struct {
	// Dialects are asked in order; no two may read one kind.
	Dialects []Dialect
	// ReadFile reads the files that policies name, as Material.File; nil refuses
	// them.
	ReadFile func(document Document, path string) ([]byte, error)
	// Elsewhere finds Secrets and ConfigMaps that are not among the documents; nil
	// finds none.
	Elsewhere ObjectReader
}

// Loaded is what became of one document. Of one that holds a Secret or a
// ConfigMap it is the error alone.
type Loaded struct {
	Document Document
	Policies []policy.Policy
	Rulings  Rulings
	// Err is what is wrong with the document, an [Errors], or nil. A document with
	// an error holds no policy and no ruling.
	Err error
}

// Load returns the policies of the documents, in order, and the Secrets and
// ConfigMaps among them. The error is [Errors] and holds everything that is
// wrong with any document; the policies are then incomplete. Whoever asks for
// policies alone would not notice a ruling, so a document that holds one is an
// error.
func (l Loader) Load(documents []Document) ([]policy.Policy, Objects, error) {
	all, objects := l.LoadEach(documents)
	var failed Errors
	var policies []policy.Policy
	for _, one := range all {
		failed = append(failed, ErrorsOf(one.Err, one.Document.File)...)
		policies = append(policies, one.Policies...)
		if len(one.Rulings.Exceptions)+len(one.Rulings.Denials) > 0 {
			failed = append(failed, one.Document.Errorf("kind", "expected a policy, got %q", Clip(one.Document.Kind.Kind)))
		}
	}
	return policies, objects, failed.Err()
}

// LoadEach returns what became of each document, in order, and the Secrets and
// ConfigMaps among them: what is wrong with one document concerns no other,
// except those that refer to it. An object that appears twice is the first of
// the two.
func (l Loader) LoadEach(documents []Document) ([]Loaded, Objects) {
	all := make([]Loaded, len(documents))
	twice := duplicates(documents)
	objects := Objects{all: make(map[objectID]Object)}
	for i, d := range documents {
		all[i].Document = d
		if err, again := twice[i]; again {
			all[i].Err = Errors{err}
			continue
		}
		if !slices.Contains(materialKinds(), d.Kind) {
			continue
		}
		object, err := readObject(d)
		if err != nil {
			all[i].Err = ErrorsOf(err, d.File)
			continue
		}
		objects.all[objectID{object.Kind, object.Namespace, object.Name}] = object
	}
	material := loaderMaterial{Objects: objects, loader: l}
	l.Dialects = linked(l.Dialects, documents)
	for i := range all {
		if all[i].Err == nil && !slices.Contains(materialKinds(), documents[i].Kind) {
			l.one(&all[i], material)
		}
	}
	return all, objects
}

// linked shows the documents to the dialects that want to see them together.
func linked(dialects []Dialect, documents []Document) []Dialect {
	all := slices.Clone(dialects)
	for i, d := range all {
		linker, is := d.(Linker)
		if !is {
			continue
		}
		var own []Document
		for _, document := range documents {
			if slices.Contains(d.Kinds(), document.Kind) {
				own = append(own, document)
			}
		}
		all[i] = linker.Link(own)
	}
	return all
}

// one compiles a document by the dialect that reads its kind.
func (l Loader) one(into *Loaded, material Material) {
	d := into.Document
	for _, dialect := range l.Dialects {
		if slices.Contains(dialect.Kinds(), d.Kind) {
			into.Policies, into.Err = policies(dialect, d, material)
			return
		}
		if ruler, is := dialect.(Ruler); is && slices.Contains(ruler.RulingKinds(), d.Kind) {
			rulings, err := ruler.Rulings(d)
			if err != nil {
				into.Err = ErrorsOf(err, d.File)
				return
			}
			into.Rulings = rulings
			return
		}
	}
	into.Err = Errors{l.unknown(d)}
}

func policies(dialect Dialect, d Document, material Material) ([]policy.Policy, error) {
	found, err := dialect.Policies(d, material)
	if err != nil {
		return nil, ErrorsOf(err, d.File)
	}
	for _, p := range found {
		if p.Require == nil && p.Invalid == nil {
			return nil, Errors{d.Errorf("", "expected policy %q to require something, got nothing", p.Origin)}
		}
	}
	return found, nil
}

// KindsOf returns the kinds that a dialect reads, those of rulings included.
func KindsOf(d Dialect) []Kind {
	kinds := slices.Clone(d.Kinds())
	if ruler, is := d.(Ruler); is {
		kinds = append(kinds, ruler.RulingKinds()...)
	}
	return kinds
}

// unknown names the kinds that are read, the nearest apart.
func (l Loader) unknown(d Document) *Error {
	var kinds []Kind
	for _, dialect := range l.Dialects {
		kinds = append(kinds, KindsOf(dialect)...)
	}
	kinds = append(kinds, materialKinds()...)
	var names, written []string
	for _, k := range kinds {
		names, written = append(names, k.Kind), append(written, k.String())
		if k.Kind == d.Kind.Kind { // only the version is wrong
			err := d.Errorf("apiVersion", "%q is not read for a %s", Clip(d.APIVersion), Clip(d.Kind.Kind))
			err.Nearest = k.APIVersion
			return err
		}
	}
	err := d.Errorf("kind", "%q is not a kind that is read: expected one of %s", Clip(d.String()), strings.Join(written, ", "))
	err.Nearest = spelling.Nearest(d.Kind.Kind, names)
	return err
}

// duplicates reports objects that appear twice, by the index of the second:
// which of them would count is nobody's guess.
func duplicates(documents []Document) map[int]*Error {
	type identity struct{ group, kind, namespace, name string }
	first := make(map[identity]Document, len(documents))
	failed := make(map[int]*Error)
	for i, d := range documents {
		group, _, grouped := strings.Cut(d.APIVersion, "/")
		if !grouped {
			group = "" // the core group has a version alone
		}
		id := identity{group, d.Kind.Kind, namespaceOf(d), d.Name}
		if other, twice := first[id]; twice {
			failed[i] = d.Errorf("metadata.name", "%s %q is already in %s", Clip(d.Kind.Kind), Clip(d.Name), other.Place())
			continue
		}
		first[id] = d
	}
	return failed
}

// loaderMaterial is the Material of a load: the documents' own objects first.
type loaderMaterial struct {
	Objects
	loader Loader
}

// Secret implements [Material].
func (m loaderMaterial) Secret(namespace, name string) (Object, error) {
	object, err := m.Objects.Secret(namespace, name)
	if err == nil || m.loader.Elsewhere == nil {
		return object, err
	}
	return m.loader.Elsewhere.Secret(namespace, name)
}

// ConfigMap implements [Material].
func (m loaderMaterial) ConfigMap(namespace, name string) (Object, error) {
	object, err := m.Objects.ConfigMap(namespace, name)
	if err == nil || m.loader.Elsewhere == nil {
		return object, err
	}
	return m.loader.Elsewhere.ConfigMap(namespace, name)
}

// File implements [Material].
func (m loaderMaterial) File(d Document, path string) ([]byte, error) {
	if m.loader.ReadFile == nil {
		return nil, fmt.Errorf("%w: file %q: policies may name no files here", ErrNoMaterial, path)
	}
	return m.loader.ReadFile(d, path)
}
