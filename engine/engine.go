package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Sources opens registries.
type Sources interface {
	// Source returns the registry of a repository as the puller's credentials
	// see it, and the identity of those credentials: equal for equal
	// credentials, and no secret. An error means that credentials are
	// configured and could not be had.
	Source(ctx context.Context, puller evidence.Puller, repository imageref.Repository) (evidence.Source, string, error)
}

// Observer is told what the caches do. Its methods are called on the hot path,
// concurrently, and must not block.
type Observer interface {
	// CacheLooked reports a look into one of the caches "tag", "evidence",
	// "content" and "proof".
	CacheLooked(cache string, hit bool)
	// Verified reports that evidence was verified for one signer, rather than
	// remembered, and what came of it.
	Verified(outcome policy.Outcome)
}

// Options are the engine's optional settings. The zero Options are the strict
// defaults.
type Options struct {
	// Parser reads image references; the zero Parser knows Docker Hub's aliases.
	Parser imageref.Parser
	// TagTTL is how long a tag's digest is remembered where the decision pins:
	// at most [MaxTagTTL]. Zero means [DefaultTagTTL]; negative means never.
	TagTTL time.Duration
	// ProofTTL is how long a positive proof is used: at most [MaxProofTTL].
	// Zero means [DefaultProofTTL].
	ProofTTL time.Duration
	// NamedHost reports whether the operator named a registry host; outages of
	// other hosts are never excused (TRUST R41). Nil names none.
	NamedHost func(host string) bool
	// Now is the clock. It is required.
	Now func() time.Time
	// Observer may be nil.
	Observer Observer
}

// Lives of what is remembered (TRUST R35, DESIGN §4).
const (
	DefaultTagTTL   = 10 * time.Second
	MaxTagTTL       = 60 * time.Second
	DefaultProofTTL = 30 * time.Minute
	MaxProofTTL     = time.Hour

	evidenceTTL   = 10 * time.Second // a new signature is seen at the latest after this; R35 allows 60 s
	provenBefore  = 24 * time.Hour   // for AllowIfProvenBefore
	flightTimeout = 30 * time.Second // the longest webhook timeout that Kubernetes allows
)

// Sizes of what is remembered, in bytes. Together they keep ten thousand
// images well below 100 MiB.
const (
	proofBytes    = 24 << 20
	tagBytes      = 8 << 20
	evidenceBytes = 10 << 20
	contentBytes  = 8 << 20
)

// maxParallelImages bounds how many images of one request are decided at once:
// a Pod may name hundreds.
const maxParallelImages = 16

// Engine decides. It is safe for concurrent use.
type Engine struct {
	sources  Sources
	options  Options
	snapshot atomic.Pointer[Snapshot]

	tags     *cache[tagKey, imageref.Digest]
	sets     *cache[setKey, evidence.Set]
	contents *cache[contentKey, any]
	proofs   *cache[proofKey, proven]

	resolving flights[tagKey, imageref.Digest]
	gathering flights[setKey, evidence.Set]
	reading   flights[contentKey, evidence.Manifest]
	verifying flights[verifyKey, policy.Leaf]
	stating   flights[statingKey, stated]
}

// New returns an Engine without policies: it decides nothing until
// [Engine.Swap] has been called (TRUST R18).
func New(sources Sources, o Options) (*Engine, error) {
	switch {
	case sources == nil:
		return nil, errors.New("engine: expected sources, got nil")
	case o.Now == nil:
		return nil, errors.New("engine: expected a clock, got nil")
	case o.TagTTL > MaxTagTTL:
		return nil, errors.New("engine: expected a tag life of at most " + MaxTagTTL.String() + ", got " + o.TagTTL.String())
	case o.ProofTTL > MaxProofTTL || o.ProofTTL < 0:
		return nil, errors.New("engine: expected a proof life of at most " + MaxProofTTL.String() + ", got " + o.ProofTTL.String())
	}
	if o.TagTTL == 0 {
		o.TagTTL = DefaultTagTTL
	}
	if o.ProofTTL == 0 {
		o.ProofTTL = DefaultProofTTL
	}
	if o.NamedHost == nil {
		o.NamedHost = func(string) bool { return false }
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	return &Engine{
		sources:  sources,
		options:  o,
		tags:     newCache[tagKey, imageref.Digest](tagBytes),
		sets:     newCache[setKey, evidence.Set](evidenceBytes),
		contents: newCache[contentKey, any](contentBytes),
		proofs:   newCache[proofKey, proven](proofBytes),
	}, nil
}

// Swap makes the engine decide by other policies. A request that is being
// decided goes on with the snapshot that it began with.
func (e *Engine) Swap(s *Snapshot) { e.snapshot.Store(s) }

// Snapshot returns the current policies, or nil before the first Swap.
func (e *Engine) Snapshot() *Snapshot { return e.snapshot.Load() }

// Decide decides every image of the request, images in parallel. It returns
// by the context's deadline; images that were not decided by then are
// Undecided.
func (e *Engine) Decide(ctx context.Context, r Request) Decision {
	snapshot := e.snapshot.Load()
	d := Decision{Images: make([]ImageDecision, len(r.Images))}
	if len(r.Images) == 1 {
		d.Images[0] = e.guarded(ctx, snapshot, r, 0)
		return d
	}
	slots := make(chan struct{}, maxParallelImages)
	var running sync.WaitGroup
	for i := range r.Images {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			d.Images[i] = e.guarded(ctx, snapshot, r, i)
		})
	}
	running.Wait()
	return d
}

type unobserved struct{}

func (unobserved) CacheLooked(string, bool) {}
func (unobserved) Verified(policy.Outcome)  {}
