package policies

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
)

// look brings everything up to date with the mirrors, and hands out the set if
// it is another.
func (s *Source) look(ctx context.Context) {
	whole := s.follow(ctx)
	s.report(ctx)
	differs, read := s.gather()
	differs = s.compile(ctx) || differs
	if !s.ready(whole && read) {
		return
	}
	now := s.options.Now()
	if s.complete && !differs && (s.until.IsZero() || now.Before(s.until)) {
		return
	}
	s.complete = true
	set := s.assemble(now)
	s.mu.Lock()
	s.set = &set
	close(s.renewed)
	s.renewed = make(chan struct{})
	s.mu.Unlock()
	s.options.Changed(set)
}

// gather makes entries of the objects that there are. It reports whether one has
// come, gone or another generation, and whether every kind was read: what is read
// a moment later is not among these entries (TRUST R18).
func (s *Source) gather() (differs, read bool) {
	read = true
	exist := make(map[entryKey]bool, len(s.entries))
	for _, w := range s.kinds {
		if w.objects == nil {
			continue
		}
		if known, _ := w.objects.state(); !known { // what was known of another version stays
			read = false
			for key, e := range s.entries {
				if e.kind == w {
					exist[key] = true
				}
			}
			continue
		}
		for _, o := range w.objects.all() {
			key := entryKey{w.resource, o.namespace, o.name}
			exist[key] = true
			e := s.entries[key]
			if e == nil || e.object.uid != o.uid { // no last good version outlives its object
				e = &entry{kind: w, object: o}
				s.entries[key] = e
				differs = true
			}
			differs = differs || e.object.generation != o.generation
			e.object = o
		}
	}
	for key := range s.entries {
		if !exist[key] {
			delete(s.entries, key)
			differs = true
		}
	}
	return differs, read
}

// compile compiles what is stale, and watches what the entries name. It reports
// whether one has another outcome.
func (s *Source) compile(ctx context.Context) (differs bool) {
	inputs := s.inputs()
	named := make(map[claim]bool)
	for _, key := range s.order() {
		e := s.entries[key]
		in := inputs[e.kind.dialect]
		if e.stale(in, s.references) {
			e.compile(in, s.references)
			differs = differs || !e.settling
		} else if !e.settling {
			e.generation = e.object.generation // back to what it was before
		}
		for name := range e.named {
			named[claim{key.namespace, name}] = true
		}
		if e.good != nil && e.loaded.Err != nil {
			for name := range e.good.objects { // a pull secret of what is in force
				if c := (claim{key.namespace, name}); !named[c] {
					named[c] = false // after what is written
				}
			}
		}
	}
	s.references.keep(ctx, named)
	return differs
}

// inputs returns what each dialect compiles from.
func (s *Source) inputs() []inputs {
	revision := s.options.Revision()
	all := make([]inputs, len(s.options.Dialects))
	for i, d := range s.options.Dialects {
		all[i] = inputs{dialect: d, revision: revision}
		if _, is := d.(dialect.Linker); !is {
			continue
		}
		var digests []byte
		for _, key := range s.order() {
			if e := s.entries[key]; e.kind.dialect == i && e.object.err == nil {
				all[i].documents = append(all[i].documents, e.object.document)
				digests = append(digests, e.object.digest.String()...)
			}
		}
		all[i].others = imageref.DigestOf(digests)
	}
	return all
}

// order returns the entries in the order of kinds, namespaces and names.
func (s *Source) order() []entryKey {
	kinds := make(map[*watched]int, len(s.kinds))
	for i, w := range s.kinds {
		kinds[w] = i
	}
	return slices.SortedFunc(maps.Keys(s.entries), func(a, b entryKey) int {
		return cmp.Or(
			cmp.Compare(kinds[s.entries[a].kind], kinds[s.entries[b].kind]),
			cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name),
		)
	})
}

// ready reports whether a set may be handed out: everything was read once, and
// is among the entries (TRUST R18). After that one set follows another, and what
// is not read yet is not in force yet.
func (s *Source) ready(read bool) bool {
	if s.complete {
		return true
	}
	if known, _ := s.namespaces.state(); !known || !read {
		return false
	}
	for _, e := range s.entries {
		if e.settling {
			return false
		}
	}
	return true
}

func (s *Source) assemble(now time.Time) Set {
	set := Set{Objects: s.references.objects(), mirrors: make(map[schema.GroupResource]*mirror[*object])}
	for _, w := range s.kinds {
		if w.objects != nil {
			set.mirrors[w.resource] = w.objects
		}
	}
	s.until = time.Time{}
	for _, key := range s.order() {
		e := s.entries[key]
		if !e.compiled {
			continue
		}
		until := set.add(e, s.options.Dialects[e.kind.dialect], now)
		if !until.IsZero() && (s.until.IsZero() || until.Before(s.until)) {
			s.until = until
		}
	}
	return set
}
