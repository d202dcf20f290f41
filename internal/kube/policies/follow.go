package policies

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// installHint is what to do about native kinds that a cluster lacks.
const installHint = "install the definitions: kubectl apply -f config/crd"

// trouble is why the objects of a kind cannot be read.
type trouble struct {
	text    string
	passing bool // an API server is about to mend it
}

// follow begins and ends the watches of kinds as their definitions come and go.
// It reports whether every kind that there is, or has to be, can be read.
//
// Only a definition that is gone takes its objects with it, as it does in the API
// server. One that is there and cannot be read says nothing about its objects:
// what is known of them stays, and where nothing is known nothing is complete
// (TRUST R18).
func (s *Source) follow(ctx context.Context) (whole bool) {
	whole = true
	for _, w := range s.kinds {
		if known, _ := w.definition.state(); !known {
			whole = false
			continue
		}
		version, exists := w.serves()
		whole = whole && w.trouble == nil
		switch {
		case !exists:
			s.forget(ctx, w)
		case w.trouble != nil:
			w.pause()
		case w.stop == nil || version != w.version:
			s.watch(ctx, w, version)
		}
	}
	return whole
}

// serves returns the first of the kind's versions that the API server serves, and
// whether there is a definition. It sets trouble.
func (w *watched) serves() (version string, exists bool) {
	w.trouble = nil
	d, exists := w.definition.get(w.resource.String())
	switch {
	case !exists && w.required:
		w.trouble = &trouble{text: "expected a custom resource definition, got none; " + installHint}
	case !exists:
	case !d.established:
		w.trouble = &trouble{text: "expected the custom resource definition to be established, got one that is not", passing: true}
	case d.kind != w.name:
		w.trouble = &trouble{text: fmt.Sprintf("expected the custom resource definition to be of the kind %q, got %q", w.name, d.kind)}
	default:
		served := strings.Split(strings.TrimSuffix(d.served, ","), ",")
		for _, version := range w.versions {
			if slices.Contains(served, version) {
				return version, true
			}
		}
		w.trouble = &trouble{text: fmt.Sprintf("expected the API server to serve %s, got %s; serve one of these versions, or delete the definition", strings.Join(w.versions, " or "), strings.Join(served, ", "))}
	}
	return "", exists
}

// watch begins to watch a version. What was known of another stays until this one
// was read.
func (s *Source) watch(ctx context.Context, w *watched, version string) {
	w.pause()
	objects := &mirror[*object]{reduce: reduceObject, changed: s.changed, now: s.options.Now}
	if w.objects != nil {
		objects.heard, _ = w.objects.last()
	}
	w.version, w.objects = version, objects
	w.stop = objects.start(ctx, resourceLists(s.dynamic, w.resource.WithVersion(version)), "", &s.wait)
	s.options.Log.InfoContext(ctx, "kind is watched", slog.String("resource", w.resource.String()), slog.String("version", version))
}

// pause ends the watch, and keeps what it saw.
func (w *watched) pause() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// forget ends the watch of a kind that is gone, and its objects.
func (s *Source) forget(ctx context.Context, w *watched) {
	if w.version == "" {
		return
	}
	w.pause()
	w.version, w.objects = "", nil
	s.options.Log.InfoContext(ctx, "kind is no longer watched", slog.String("resource", w.resource.String()))
}
