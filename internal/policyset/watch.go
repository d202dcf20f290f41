package policyset

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// Interval is how often a [Watcher] wants a tick. A change is to be in effect
// within two seconds: it is loaded at the second tick that finds the same
// content, so that a file that is being written is not read half.
const Interval = 250 * time.Millisecond

const (
	// pollTicks is every how many ticks the content is looked at without a
	// notification: some file systems give none.
	pollTicks = 4
	// maxWaits ends the waiting for content that never rests.
	maxWaits = 3
)

// Watcher loads a set again whenever its content changes, or what [Material]
// knows does. Make one with [NewWatcher].
type Watcher struct {
	paths   []string
	options Options

	last    attempt // whatever became of it
	good    attempt // the last that was loaded
	pending content // that was seen and has yet to come to rest
	waits   int     // ticks that it has been waited for
}

// NewWatcher loads a set, as [Load] does, and returns it with a Watcher of it.
func NewWatcher(paths []string, o Options) (*Watcher, Set, error) {
	first := load(paths, o)
	if first.err != nil {
		return nil, Set{}, first.err
	}
	return &Watcher{paths: paths, options: o, last: first, good: first}, first.set, nil
}

// Run watches until ctx is done, and returns only then. It may be called once.
// It works at ticks, which come every [Interval].
//
// changed receives each set that is in effect from then on, or what is wrong
// with one that was refused: the last that was loaded then stays in effect. It
// is called from Run alone, and once for the same content.
func (w *Watcher) Run(ctx context.Context, ticks <-chan time.Time, changed func(Set, error)) {
	if len(w.paths) == 0 {
		<-ctx.Done()
		return
	}
	notices := newNotices()
	defer notices.close()
	notices.watch(w.directories())
	noticed := true // what happened since the first load
	for count := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-notices.events():
			noticed = true
		case err := <-notices.errors():
			noticed = noticed || err != nil // some were lost
		case <-ticks:
			if noticed || w.waits > 0 || count%pollTicks == 0 {
				w.look(changed)
				notices.watch(w.directories())
			}
			noticed = false
			count++
		}
	}
}

// look loads the content if it has changed and come to rest.
func (w *Watcher) look(changed func(Set, error)) {
	now := contentNow(w.paths, w.last.references, w.options)
	if now != w.last.content && now != w.pending && w.waits < maxWaits {
		w.pending = now
		w.waits++
		return
	}
	w.pending, w.waits = content{}, 0
	if now == w.last.content {
		return
	}
	w.last = load(w.paths, w.options)
	if w.last.err == nil {
		w.good = w.last
		changed(w.last.set, nil)
		return
	}
	// The last good policies stay, but not with trust material that has ended.
	if w.good.content.revision != w.last.content.revision {
		if again := w.good.again(w.options); again.err == nil {
			w.good = again
			changed(again.set, nil)
		}
	}
	changed(Set{}, w.last.err)
}

// directories are those in which a change shows: a mounted ConfigMap replaces a
// link beside its files, and an editor replaces files.
func (w *Watcher) directories() []string {
	var all []string
	for _, path := range w.paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			all = append(all, path)
			continue
		}
		all = append(all, filepath.Dir(path))
	}
	for _, path := range w.last.references {
		all = append(all, filepath.Dir(path))
	}
	return all
}
