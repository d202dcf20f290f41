package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// operators is what a source may tell about the credentials that it reads with:
// that they are the operator's, rather than the puller's own. Until one of them
// was accepted it may say so to be safe.
type operators interface{ OperatorCredentials() bool }

// access is a repository as one puller sees it.
type access struct {
	source      evidence.Source
	credentials string
	operators   operators // nil if the source does not tell
}

// opened are the repositories that a decision reads, each opened once. The zero
// value is ready; it is safe for concurrent use.
type opened struct {
	mu  sync.Mutex
	all map[imageref.Repository]*opening
}

type opening struct {
	once   sync.Once
	access *access // once opened
	failed *evidence.Problem
}

// open gets a repository with the puller's credentials.
func (w *work) open(ctx context.Context, repository imageref.Repository) (*access, *evidence.Problem) {
	w.opened.mu.Lock()
	o, known := w.opened.all[repository]
	if !known {
		o = &opening{failed: &evidence.Problem{Reason: evidence.Internal, Expected: "an open registry", Got: "none"}}
		if w.opened.all == nil {
			w.opened.all = map[imageref.Repository]*opening{}
		}
		w.opened.all[repository] = o
	}
	w.opened.mu.Unlock()
	o.once.Do(func() {
		source, credentials, err := w.engine.sources.Source(ctx, w.request.Puller, repository)
		if o.failed = evidence.ProblemOf(err); err != nil {
			return
		}
		a := &access{source: remembered{Source: source, engine: w.engine, credentials: credentials}, credentials: credentials}
		a.operators, _ = source.(operators)
		w.opened.mu.Lock()
		defer w.opened.mu.Unlock()
		o.access = a
	})
	return o.access, o.failed
}

// private reports that what statements say is not for this caller: the
// operator's credentials read them (TRUST R36).
func (w *work) private() bool {
	w.opened.mu.Lock()
	defer w.opened.mu.Unlock()
	for _, o := range w.opened.all {
		if o.access != nil && o.access.operators != nil && o.access.operators.OperatorCredentials() {
			return true
		}
	}
	return false
}

// gathering is one look for evidence of a digest: for everything that is asked
// of one place.
type gathering struct {
	place      evidence.Place
	signers    []policy.Signer
	statements []statementTask
	artifacts  bool
	lists      bool // something is decided over all that there is

	eyes   eyes
	ready  bool // eyes are open
	key    setKey
	set    evidence.Set
	failed *evidence.Problem // why there is no set
	whole  bool              // set is all that there is
}

// claims reports whether anything beside signatures is asked for.
func (g *gathering) claims() bool { return len(g.statements) > 0 || g.artifacts }

// eyes are what evidence is read with: the image's repository, which has the
// image, and the one of the place, which has the evidence.
type eyes struct {
	image, place *access
	// read is the image if it was read before, or the index that holds statements
	// about it.
	read *evidence.Image
}

// split divides what is asked into gatherings: what is in one place is looked
// for at once, the image's own repository first.
func (s *subject) split() {
	if s.tasks.artifacts != nil {
		g := s.at(evidence.Place{})
		g.artifacts, g.lists = true, s.tasks.artifactLists
	}
	for _, signer := range s.tasks.signers {
		g := s.at(signer.Need().Place)
		g.signers = append(g.signers, signer)
	}
	for _, task := range s.tasks.statements {
		g := s.at(s.tasks.attestors[task].StatementNeed().Place)
		g.statements = append(g.statements, task)
		g.lists = g.lists || s.tasks.lists[task]
	}
	slices.SortStableFunc(s.looks, func(a, b *gathering) int {
		switch own := (evidence.Place{}); {
		case a.place == own && b.place != own:
			return -1
		case a.place != own && b.place == own:
			return 1
		}
		return 0
	})
}

// at returns the gathering of a place.
func (s *subject) at(place evidence.Place) *gathering {
	place = placeFor(place, s.repository())
	i := slices.IndexFunc(s.looks, func(g *gathering) bool { return g.place == place })
	if i < 0 {
		i = len(s.looks)
		s.looks = append(s.looks, &gathering{place: place})
	}
	return s.looks[i]
}

// placeFor returns the place as one of an image in the repository own: two
// spellings of one place are looked at once.
func placeFor(place evidence.Place, own imageref.Repository) evidence.Place {
	if place.Repository == own {
		place.Repository = imageref.Repository{}
	}
	return place
}

// statementsAt returns the gathering that finds a task's statements.
func (s *subject) statementsAt(task statementTask) *gathering {
	return s.lookFor(func(g *gathering) bool { return slices.Contains(g.statements, task) })
}

// artifactsAt returns the gathering that finds artifacts.
func (s *subject) artifactsAt() *gathering {
	return s.lookFor(func(g *gathering) bool { return g.artifacts })
}

// lookFor returns a gathering, or one of which nothing is known.
func (s *subject) lookFor(what func(*gathering) bool) *gathering {
	if i := slices.IndexFunc(s.looks, what); i >= 0 {
		return s.looks[i]
	}
	return &gathering{failed: s.failed}
}

// prepare opens what a gathering reads.
func (s *subject) prepare(ctx context.Context, g *gathering) {
	if g.ready || g.failed != nil {
		return
	}
	if g.failed = s.failed; g.failed != nil {
		return
	}
	if g.eyes.image, g.failed = s.open(ctx, s.repository()); g.failed != nil {
		return
	}
	if g.eyes.place, g.failed = s.open(ctx, g.place.Of(s.repository())); g.failed != nil {
		return
	}
	if s.digest == s.decision.Digest {
		g.eyes.read = s.image
	}
	g.ready = true
}

// troubles are the problems of the evidence as a whole.
func (g *gathering) troubles() troubles {
	var t troubles
	if g.failed != nil {
		t.note(g.failed)
		return t
	}
	t.note(g.set.Problems...)
	return t
}
