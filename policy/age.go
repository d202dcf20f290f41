package policy

import (
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// maxAhead is how far in the future a statement's time may lie: clocks differ. One
// that lies further would stay young for as long as its author likes.
const maxAhead = 5 * time.Minute

// made returns when a statement was made, as far as signed data tells, and
// whether only the statement itself says so: the earlier of the time that a log or
// an authority proves and the one that it states (TRUST R32). The zero time means
// that nothing tells.
func (c Claim) made(p Proof) (at time.Time, said bool) {
	at = p.Time
	if c.Dated == nil || p.Statement == nil {
		return at, false
	}
	own, states := c.Dated(p.Statement)
	if !states || own.IsZero() || (!at.IsZero() && !own.Before(at)) {
		return at, false
	}
	return own, true
}

// age says why a statement is not as young as a claim asks for.
func (e evaluation) age(c Claim, p Proof) *evidence.Problem {
	if c.MaxAge <= 0 {
		return nil
	}
	at, said := c.made(p)
	problem := &evidence.Problem{
		Reason: evidence.ConditionNotMet, Path: p.Source,
		Expected: "a statement that is at most " + c.MaxAge.String() + " old", Got: "one of " + at.UTC().Format(time.RFC3339),
	}
	if said {
		problem.Got += ", as it says"
	}
	switch age := e.in.Now.Sub(at); {
	case at.IsZero():
		problem.Reason = evidence.TimestampMissing
		problem.Got = "one whose age does not come from signed data: nobody proves a time and it states none"
		return problem
	case age < -maxAhead, age > c.MaxAge:
	default:
		return nil
	}
	if said && e.in.Private { // what statements say is not for this caller (TRUST R36)
		problem.Got = "another, as it says"
	}
	return problem
}

// newest decides by the statement with the latest time.
func (e evaluation) newest(c Claim, f Finding, known Stated, open bool) Finding {
	if open || !known.Whole {
		return f.incomplete(known)
	}
	var latest time.Time
	times := make([]time.Time, len(known.Proofs))
	for i, p := range known.Proofs {
		if times[i], _ = c.made(p); times[i].IsZero() && len(known.Proofs) > 1 {
			f.Outcome = Denied
			f.Problems = []*evidence.Problem{{
				Reason: evidence.TimestampMissing, Path: p.Source,
				Expected: "a proven or stated time, to tell which statement is the newest", Got: "none",
			}}
			return f
		}
		if times[i].After(latest) {
			latest = times[i]
		}
	}
	// Those of one time are all the newest: none may fail.
	var same []Proof
	for i, p := range known.Proofs {
		if times[i].Equal(latest) {
			same = append(same, p)
		}
	}
	met, unmet := e.meet(c, same)
	if len(unmet) > 0 {
		return f.failing(unmet)
	}
	return e.with(f, met)
}
