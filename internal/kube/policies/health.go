package policies

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// staleAfter is how old what is known may be before the log says so. API servers
	// say each minute that nothing happened.
	staleAfter = 5 * time.Minute
	// silentAfter is how long a watch may say nothing before another is begun: some
	// proxies keep connections open that lead nowhere.
	silentAfter = 3 * time.Minute
)

// Health says how far what a [Source] knows is what the API server has.
type Health struct {
	// Synced is up to when: everything that the API server had accepted by then is
	// known. It is the zero time before everything was read once. What is known
	// stays in force however old it is (TRUST R18).
	Synced time.Time
	// Unreadable are the kinds whose objects cannot be read now although there are
	// some, or have to be; sorted. What is known of them stays in force; where
	// nothing is known, no set was handed out yet.
	Unreadable []Unreadable
}

// Unreadable is a kind, and why it cannot be read.
type Unreadable struct {
	Resource string // "resource.group", or "namespaces"
	Message  string
}

// Health returns how things were at most a second ago. It is safe for concurrent
// use.
func (s *Source) Health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Health{Synced: s.health.Synced, Unreadable: slices.Clone(s.health.Unreadable)}
}

// report writes to the log what cannot be read, once, and when it no longer is
// so.
func (s *Source) report(ctx context.Context) {
	r := reporting{source: s, seen: make(map[string]bool)}
	_, err := s.namespaces.state()
	r.watch(ctx, "namespaces", err)
	r.kind("namespaces", err)
	for _, w := range s.kinds {
		resource := w.resource.String()
		_, err := w.definition.state()
		r.watch(ctx, definitions.Resource+" "+resource, err)
		r.kind(resource, err)
		if w.trouble != nil {
			r.definition(ctx, resource, *w.trouble)
			continue
		}
		if w.objects != nil {
			_, err = w.objects.state()
			r.watch(ctx, resource, err)
			r.kind(resource, err)
			continue
		}
		r.watch(ctx, resource, nil)
	}
	for name, w := range s.references.watched {
		_, err := w.objects.state()
		r.watch(ctx, name.String(), err)
	}
	maps.DeleteFunc(s.troubles, func(resource, _ string) bool { return !r.seen[resource] })
	slices.SortFunc(r.found, func(a, b Unreadable) int {
		return cmp.Or(strings.Compare(a.Resource, b.Resource), strings.Compare(a.Message, b.Message))
	})
	r.found = slices.CompactFunc(r.found, func(a, b Unreadable) bool { return a.Resource == b.Resource })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.Unreadable = r.found
}

// reporting is one look at everything that is read.
type reporting struct {
	source *Source
	seen   map[string]bool
	found  []Unreadable
}

// kind notes a kind that cannot be read.
func (r *reporting) kind(resource string, err error) {
	if err != nil {
		r.found = append(r.found, Unreadable{resource, clip(err.Error())})
	}
}

// watch says what the API server refuses. Its words may hold a port of ours that
// is another each time: another reason is news, other words are not.
func (r *reporting) watch(ctx context.Context, resource string, err error) {
	if err == nil {
		r.note(ctx, slog.LevelInfo, resource, "", "nothing is wrong with it any more", "")
		return
	}
	r.note(ctx, slog.LevelWarn, resource, "watch "+string(apierrors.ReasonForError(err)), "cannot be watched; what is known of it stays", err.Error())
}

// definition says why a kind cannot be read that there is, or has to be.
func (r *reporting) definition(ctx context.Context, resource string, t trouble) {
	r.found = append(r.found, Unreadable{resource, t.text})
	level := slog.LevelError
	if t.passing {
		level = slog.LevelInfo
	}
	r.note(ctx, level, resource, t.text, "kind cannot be read; what is known of it stays, and nothing is decided before it was read once", t.text)
}

// note writes a line if it is about another thing than the last about the
// resource; an empty one is none.
func (r *reporting) note(ctx context.Context, level slog.Level, resource, thing, line, text string) {
	s := r.source
	r.seen[resource] = true
	if thing == s.troubles[resource] {
		return
	}
	attributes := []slog.Attr{slog.String("resource", resource)}
	if thing == "" {
		delete(s.troubles, resource)
	} else {
		s.troubles[resource] = thing
		attributes = append(attributes, slog.String("error", text))
	}
	s.options.Log.LogAttrs(ctx, level, line, attributes...)
}

// copied is a mirror of whatever.
type copied interface {
	last() (heard time.Time, synced bool)
	renew(since time.Time)
}

// copies are all mirrors that are in use.
func (s *Source) copies() map[string]copied {
	all := map[string]copied{"namespaces": s.namespaces}
	for _, w := range s.kinds {
		all[definitions.Resource+" "+w.resource.String()] = w.definition
		if w.objects != nil {
			all[w.resource.String()] = w.objects
		}
	}
	for name, w := range s.references.watched {
		all[name.String()] = w.objects
	}
	return all
}

// freshen begins watches anew that say nothing, and says in the log when what is
// known gets old, and when it no longer is.
func (s *Source) freshen(ctx context.Context) {
	now := s.options.Now()
	var oldest time.Time
	var of string
	for name, c := range s.copies() {
		c.renew(now.Add(-silentAfter))
		heard, _ := c.last()
		if heard.IsZero() {
			continue // there is nothing of it that could be old
		}
		if oldest.IsZero() || heard.Before(oldest) || heard.Equal(oldest) && name < of {
			oldest, of = heard, name
		}
	}
	if !s.complete {
		return
	}
	s.mu.Lock()
	s.health.Synced = oldest
	s.mu.Unlock()
	switch stale := now.Sub(oldest) > staleAfter; {
	case stale && !s.stale:
		s.options.Log.WarnContext(ctx, "what is known of the cluster's policies is old; it stays in force, and changes are not seen",
			slog.String("resource", of), slog.Time("since", oldest))
		s.stale = true
	case !stale && s.stale:
		s.options.Log.InfoContext(ctx, "what is known of the cluster's policies is of now again")
		s.stale = false
	}
}
