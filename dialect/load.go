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

// Loader turns documents into policies. The zero Loader reads none.
type Loader struct {
	// Dialects are asked in order; no two may read one kind.
	Dialects []Dialect
	// ReadFile reads the files that policies name, as Material.File; nil refuses
	// them.
	ReadFile func(document Document, path string) ([]byte, error)
}

// Load returns the policies of the documents, in order, and the Secrets and
// ConfigMaps among them. The error is [Errors] and holds everything that is
// wrong with any document; the policies are then incomplete.
func (l Loader) Load(documents []Document) ([]policy.Policy, Objects, error) {
	failed := duplicates(documents)
	objects := Objects{all: make(map[objectID]Object)}
	for _, d := range documents {
		if !slices.Contains(materialKinds(), d.Kind) {
			continue
		}
		object, err := readObject(d)
		if err != nil {
			failed = append(failed, ErrorsOf(err, d.File)...)
			continue
		}
		objects.all[objectID{object.Kind, object.Namespace, object.Name}] = object
	}
	material := fileMaterial{Objects: objects, read: l.ReadFile}
	l.Dialects = linked(l.Dialects, documents)
	var policies []policy.Policy
	for _, d := range documents {
		if slices.Contains(materialKinds(), d.Kind) {
			continue
		}
		found, err := l.policies(d, material)
		failed = append(failed, ErrorsOf(err, d.File)...)
		policies = append(policies, found...)
	}
	return policies, objects, failed.Err()
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

func (l Loader) policies(d Document, material Material) ([]policy.Policy, error) {
	for _, dialect := range l.Dialects {
		if !slices.Contains(dialect.Kinds(), d.Kind) {
			continue
		}
		found, err := dialect.Policies(d, material)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if p.Require == nil && p.Invalid == nil {
				return nil, Errors{d.Errorf("", "expected policy %q to require something, got nothing", p.Origin)}
			}
		}
		return found, nil
	}
	return nil, Errors{l.unknown(d)}
}

// unknown names the kinds that are read, the nearest apart.
func (l Loader) unknown(d Document) *Error {
	var kinds []Kind
	for _, dialect := range l.Dialects {
		kinds = append(kinds, dialect.Kinds()...)
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

// duplicates reports objects that appear twice: which of them would count is
// nobody's guess.
func duplicates(documents []Document) Errors {
	type identity struct{ group, kind, namespace, name string }
	first := make(map[identity]Document, len(documents))
	var failed Errors
	for _, d := range documents {
		group, _, grouped := strings.Cut(d.APIVersion, "/")
		if !grouped {
			group = "" // the core group has a version alone
		}
		id := identity{group, d.Kind.Kind, namespaceOf(d), d.Name}
		if other, twice := first[id]; twice {
			failed = append(failed, d.Errorf("metadata.name", "%s %q is already in %s", Clip(d.Kind.Kind), Clip(d.Name), other.Place()))
			continue
		}
		first[id] = d
	}
	return failed
}

type fileMaterial struct {
	Objects
	read func(Document, string) ([]byte, error)
}

// File implements [Material].
func (m fileMaterial) File(d Document, path string) ([]byte, error) {
	if m.read == nil {
		return nil, fmt.Errorf("%w: file %q: policies may name no files here", ErrNoMaterial, path)
	}
	return m.read(d, path)
}
