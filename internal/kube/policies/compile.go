package policies

import (
	"fmt"
	"slices"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
)

// entry is what became of one object, and of what.
type entry struct {
	kind   *watched
	object *object

	// What it was compiled from. An entry is compiled again if one of them is
	// another.
	digest   imageref.Digest
	others   imageref.Digest // of documents that it may refer to
	revision uint64
	seen     map[reference]material
	// named is everything that the object was ever seen to name, as it is written
	// now: what it asks for must not depend on what it got.
	named map[reference]bool

	settling   bool  // an object that it names is not read yet: the outcome before that stays
	compiled   bool  // once at least, not settling
	generation int64 // of the object that was compiled last, not settling
	loaded     dialect.Loaded
	good       *good
}

// good is the last version of an object that compiled.
type good struct {
	loaded   dialect.Loaded
	others   []dialect.Document
	objects  map[reference]dialect.Object
	revision uint64
}

// inputs are what entries of one dialect are compiled from beside their own
// objects and what those name.
type inputs struct {
	dialect   dialect.Dialect
	documents []dialect.Document // of a Linker, all
	others    imageref.Digest    // identifies documents
	revision  uint64
}

// stale reports whether the entry has to be compiled.
func (e *entry) stale(in inputs, r *references) bool {
	if !e.compiled && !e.settling || e.digest != e.object.digest || e.others != in.others || e.revision != in.revision {
		return true
	}
	for name, before := range e.seen {
		if now, _, _ := r.look(claim{e.object.namespace, name}); now != before {
			return true
		}
	}
	return false
}

// compile compiles the entry. Nothing else changes by it.
func (e *entry) compile(in inputs, r *references) {
	if e.named == nil || e.digest != e.object.digest || e.others != in.others {
		e.named = make(map[reference]bool)
	}
	e.digest, e.others, e.revision = e.object.digest, in.others, in.revision
	from := &reader{references: r, owner: e.object.namespace, seen: make(map[reference]material), objects: make(map[reference]dialect.Object)}
	loaded := load(in.dialect, e.object, in.documents, from)
	e.seen, e.settling = from.seen, from.settling
	for name := range e.seen {
		e.named[name] = true
	}
	if e.settling {
		return
	}
	e.compiled, e.loaded, e.generation = true, loaded, e.object.generation
	if loaded.Err == nil {
		e.good = &good{loaded: loaded, others: in.documents, objects: from.objects, revision: in.revision}
		return
	}
	if dialect.ScopeOf(in.dialect, e.object.document).OtherMatter {
		e.good = nil // its author wants nothing of images any more
	}
	e.renew(in)
}

// renew compiles the last good version again where trust material from afar has
// changed: what has ended does not live on in it.
func (e *entry) renew(in inputs) {
	if e.good == nil || e.good.revision == in.revision {
		return
	}
	e.good.revision = in.revision
	from := &reader{kept: e.good.objects}
	again := load(in.dialect, &object{document: e.good.loaded.Document}, e.good.others, from)
	if again.Err == nil {
		e.good.loaded = again
	}
}

// load compiles one document of a dialect, beside the others that it may refer
// to.
//
// A panic over what somebody wrote is an error of that object alone: it must not
// end the process for all (TRUST R48).
func load(d dialect.Dialect, o *object, others []dialect.Document, from dialect.ObjectReader) (loaded dialect.Loaded) {
	defer func() {
		if p := recover(); p != nil {
			loaded = dialect.Loaded{Document: o.document, Err: fmt.Errorf("internal error while the object was read: %v", p)}
		}
	}()
	if o.err != nil {
		return dialect.Loaded{Err: o.err}
	}
	if linker, is := d.(dialect.Linker); is {
		d = linked{linker.Link(others)}
	}
	all, _ := dialect.Loader{Dialects: []dialect.Dialect{d}, Elsewhere: from}.LoadEach([]dialect.Document{o.document})
	return all[0]
}

// linked is a dialect that has seen all documents. It hides that it could be
// shown some: that would be the only document of its load.
type linked struct{ dialect.Dialect }

// void reports whether an object that does not compile means nothing rather than
// what its last good version meant: an exception that is in doubt lifts nothing.
func (e *entry) void() bool { return e.kind.name == v1alpha1.VerificationExceptionKind }

// inForce returns what decides now: what was compiled last, else the last good
// version. Neither: nil.
func (e *entry) inForce() *dialect.Loaded {
	switch {
	case e.compiled && e.loaded.Err == nil:
		return &e.loaded
	case e.good != nil && !e.void():
		return &e.good.loaded
	}
	return nil
}

// missing returns the references that could not be read, in order.
func (e *entry) missing() []string {
	var names []string
	for name, m := range e.seen {
		if m.state == absent || m.state == unreadable {
			names = append(names, name.String())
		}
	}
	slices.Sort(names)
	return names
}
