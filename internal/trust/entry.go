package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// entry is what a [Keeper] knows of a source. The Keeper's lock guards it; the
// source itself belongs to the look that is under way, if there is one.
type entry struct {
	source   source
	known    material
	sum      [sha256.Size]byte
	failed   error // of the last look
	cacheErr error
	failures int // in a row
	due      time.Time
	done     chan struct{} // closed when the look that is under way ends; nil without one
	given    answer        // what was answered last
	wanted   bool          // since the last sweep
	reported reported
}

// answer is what somebody was told. The zero answer is nothing.
type answer struct {
	state uint8
	sum   [sha256.Size]byte
}

const (
	answeredUntried = iota + 1 // nobody has looked yet
	answeredFailed
	answeredMaterial
)

// reported is what the last report said.
type reported struct {
	answer answer
	failed bool
	stale  bool
}

func newEntry(s source, now time.Time) *entry {
	e := &entry{source: s}
	known, err := s.restore(now)
	if err != nil {
		e.cacheErr = err
		return e
	}
	e.keep(known, now)
	return e
}

func (e *entry) keep(m material, now time.Time) {
	e.known, e.sum = m, m.sum()
	e.due = m.checked.Add(m.refresh)
	if m.checked.After(now) { // a clock went back: nothing follows from it
		e.due = now
	}
}

// usable returns what may be used now.
func (e *entry) usable(now time.Time) []byte {
	if e.known.content == nil || !now.Before(e.known.ends) {
		return nil
	}
	return e.known.content
}

func (e *entry) answer(now time.Time) answer {
	switch {
	case e.usable(now) != nil:
		return answer{answeredMaterial, e.sum}
	case e.failed != nil:
		return answer{state: answeredFailed}
	}
	return answer{state: answeredUntried}
}

// problem says why nothing is known.
func (e *entry) problem() *evidence.Problem {
	p := &evidence.Problem{Reason: e.source.reason(), Path: e.source.name(), Expected: "a trusted root from there", Got: "none yet", Err: e.failed}
	if p.Reason == evidence.KeyUnavailable {
		p.Expected = "a public key from there"
	}
	if e.known.content != nil {
		p.Got = "none since " + e.known.checked.UTC().Format(time.RFC3339) + ", which is too long ago"
	}
	return p
}

// settle takes in what became of a look.
func (e *entry) settle(m material, err error, now time.Time) {
	e.failed = err
	if err == nil {
		e.failures = 0
		e.keep(m, now)
		return
	}
	wait := lastRetry
	if e.failures < 16 { // 2^16 times the first is beyond the last
		wait = min(firstRetry<<e.failures, lastRetry)
	}
	e.failures++
	e.due = now.Add(wait)
}

func (e *entry) status(now time.Time) Status {
	s := Status{Name: e.source.name(), Err: e.failed, CacheErr: e.cacheErr}
	if e.known.content == nil {
		return s
	}
	s.Checked, s.Expires, s.Ends = e.known.checked, e.known.expires, e.known.ends
	if e.usable(now) != nil {
		s.Known, s.Digest, s.Stale = true, hex.EncodeToString(e.sum[:]), !now.Before(e.known.expires)
	}
	return s
}

// news reports whether the status has changed in a way that is worth a line.
func (e *entry) news(now time.Time) bool {
	current := reported{e.answer(now), e.failed != nil, e.status(now).Stale}
	changed := current != e.reported
	e.reported = current
	return changed
}
