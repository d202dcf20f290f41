package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
)

// extent is how much one look may read. It is part of the key of what the look
// finds: a list that was cut short is none for whoever may read more.
type extent uint8

const (
	wholeLook    extent = iota // the only look of a decision
	partLook                   // one of several: of several platforms or places
	artifactLook               // for the signatures of one artifact
)

const (
	// partBytes is what one of several looks may read: enough for any one
	// signature, and for the platforms that are looked at beside each other. What
	// it does not read is there for others.
	partBytes = evidence.MaxDecisionBytes / maxParallelPlatforms
	// artifactBytes is what the look for one artifact's signatures may read. Few
	// have more than one.
	artifactBytes = 1 << 20
)

// limits bound one look. All looks of a decision stay within its bytes
// (TRUST R1).
func (x extent) limits() evidence.Limits {
	switch x {
	case partLook:
		return evidence.Limits{DecisionBytes: partBytes}
	case artifactLook:
		return evidence.Limits{Referrers: 10, SignatureLayers: 10, SignatureBytes: artifactBytes, DecisionBytes: artifactBytes}
	case wholeLook:
	}
	return evidence.Limits{}
}

// bytes are what a look may still read that has read some already.
func (x extent) bytes(read int64) int64 {
	switch x {
	case partLook:
		return max(0, partBytes-read)
	case artifactLook:
		return max(0, artifactBytes-read)
	case wholeLook:
	}
	return 0 // nothing else reads beside it
}

// budget is an amount of bytes that concurrent readers share. What somebody sets
// aside and does not need comes back, so that who finds too little waits for it.
type budget struct {
	mu      sync.Mutex
	left    int64
	readers int           // who set bytes aside
	back    chan struct{} // closed when some come back; nil while nobody waits
}

func newBudget(bytes int64) *budget { return &budget{left: bytes} }

// reserve sets n bytes aside until [budget.settle].
func (b *budget) reserve(ctx context.Context, n int64) *evidence.Problem {
	for {
		b.mu.Lock()
		if n <= b.left {
			b.left -= n
			b.readers++
			b.mu.Unlock()
			return nil
		}
		if b.readers == 0 {
			b.mu.Unlock()
			return tooMuch(n)
		}
		if b.back == nil {
			b.back = make(chan struct{})
		}
		wait := b.back
		b.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return gaveUp(ctx)
		}
	}
}

// settle ends a reservation of which some was spent.
func (b *budget) settle(reserved, spent int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += reserved - spent
	b.readers--
	if b.back != nil {
		close(b.back)
		b.back = nil
	}
}

// spend takes n bytes for good.
func (b *budget) spend(ctx context.Context, n int64) *evidence.Problem {
	if problem := b.reserve(ctx, n); problem != nil {
		return problem
	}
	b.settle(n, n)
	return nil
}

func tooMuch(bytes int64) *evidence.Problem {
	return &evidence.Problem{
		Reason:   evidence.LimitExceeded,
		Expected: fmt.Sprintf("at most %d bytes, and %d for all evidence of an image", evidence.MaxSignatureBytes, evidence.MaxDecisionBytes),
		Got:      fmt.Sprintf("%d more", bytes),
	}
}
