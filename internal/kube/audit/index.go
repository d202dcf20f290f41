package audit

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// maxIndexes bounds the indexes that are remembered from sweep to sweep, each
// with [evidence.MaxChildren] digests at most: some 60 MiB if all were as wide as
// may be. Those beyond it are read again.
const maxIndexes = 10_000

// indexes remembers what image indexes hold. Runtimes differ in what they tell
// of an image of several platforms: some the digest of the index, some that of
// the manifest that they chose from it. What an index holds is content under its
// digest, so that it never changes.
type indexes struct {
	mu    sync.Mutex
	known map[indexKey]*held // used by this sweep, or by the one before
}

// indexKey has the credentials' identity, since only who may read an index may
// be told what it holds (TRUST R36).
type indexKey struct {
	repository  imageref.Repository
	credentials string
	digest      imageref.Digest
}

// held is what an index holds.
type held struct {
	digests []imageref.Digest
	used    bool // in this sweep
}

// age forgets what the last sweep did not use.
func (x *indexes) age() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, h := range x.known {
		if !h.used {
			delete(x.known, key)
		}
		h.used = false
	}
}

func (x *indexes) get(key indexKey) ([]imageref.Digest, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h, found := x.known[key]
	if !found {
		return nil, false
	}
	h.used = true
	return h.digests, true
}

func (x *indexes) put(key indexKey, digests []imageref.Digest) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known == nil {
		x.known = map[indexKey]*held{}
	}
	if len(x.known) < maxIndexes {
		x.known[key] = &held{digests: digests, used: true}
	}
}

// holds reports that what was decided is an index that lists what runs as
// something to run. Where that cannot be told it does not: what runs is then
// decided by itself.
func (a *Auditor) holds(ctx context.Context, l *listing, u unlike) (found bool) {
	if a.options.Sources == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, perDecision)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // one Pod must not end the audit of all (TRUST R48)
			a.log.ErrorContext(ctx, "panic", slog.String("during", "audit"), slog.Any("panic", p))
			found = false
		}
	}()
	decided := u.group.decision.Images[u.ran.image]
	repository := decided.Reference.Repository()
	puller := u.group.request(nil).Puller
	puller.Operator = l.pullSecrets(decided.Policies)
	source, credentials, err := a.options.Sources.Source(ctx, puller, repository)
	if err != nil {
		return false
	}
	key := indexKey{repository, credentials, decided.Digest}
	digests, known := a.indexes.get(key)
	if !known {
		if digests, err = read(ctx, source, repository.WithDigest(decided.Digest)); err != nil {
			a.log.DebugContext(ctx, "an index could not be read", slog.String("image", decided.Reference.String()), slog.String("error", err.Error()))
			return false
		}
		a.indexes.put(key, digests)
	}
	return slices.Contains(digests, u.ran.digest)
}

// pullSecrets are those that the policies of a decision bring.
func (l *listing) pullSecrets(decided []engine.PolicyDecision) []evidence.SecretName {
	var names []evidence.SecretName
	for _, p := range decided {
		for _, name := range l.rules.secrets[p.Origin] {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// read returns what an index holds, those of nested indexes included: nothing for
// what is no index.
func read(ctx context.Context, source evidence.Source, name imageref.Reference) ([]imageref.Digest, error) {
	image, err := evidence.Resolve(ctx, source, name)
	if err != nil || !image.Manifest.IsIndex() {
		return nil, err
	}
	w := walk{source: source}
	err = w.index(ctx, image, 1)
	return w.found, err
}

// walk collects the children of an index.
type walk struct {
	source evidence.Source
	found  []imageref.Digest
}

func (w *walk) index(ctx context.Context, index evidence.Image, depth int) error {
	children, err := evidence.Children(index.Manifest)
	if err != nil {
		return err
	}
	for _, c := range children {
		if len(w.found) == evidence.MaxChildren {
			return &evidence.Problem{Reason: evidence.LimitExceeded, Expected: "an index of fewer images", Got: "more"}
		}
		w.found = append(w.found, c.Digest)
		if !c.IsIndex() {
			continue
		}
		if depth == evidence.MaxIndexDepth {
			return &evidence.Problem{Reason: evidence.LimitExceeded, Expected: "fewer nested indexes", Got: "more"}
		}
		nested, err := evidence.ResolveChild(ctx, w.source, index, c)
		if err != nil {
			return err
		}
		if nested.Manifest.IsIndex() {
			if err := w.index(ctx, nested, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
