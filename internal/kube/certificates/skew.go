package certificates

import "time"

// Replicas' clocks may differ. What one replica made is read by another's clock,
// and by the API server's, so that
//   - a certificate is valid from long before it is made (clockSkew),
//   - a rotation goes on when its overlap is over by the dates of certificates,
//     and no sooner than a replica has seen for a moment, by its own clock, what
//     it goes on from,
//   - replicas that refuse what the other made take turns ever more slowly.

const (
	// clockSkew is how far behind a caller's clock, or another replica's, may be:
	// by a day, as of a wrong time zone or date, and some.
	clockSkew = 25 * time.Hour
	// seenFor is how long a replica sees the Secret as it is before a rotation
	// goes on: long enough for the others, which watch it.
	seenFor = time.Minute
	// aheadEnough is the least difference between clocks that is worth a warning.
	aheadEnough = 5 * time.Minute
	// firstRepairPause is between the first two repairs by one replica, which a
	// person may need who tries something out.
	firstRepairPause = 10 * time.Second
	// lastRepairPause is between repairs in the end: replicas whose clocks differ by
	// more than a certificate's life replace each other's for as long as that lasts.
	lastRepairPause = time.Hour
)

// A sighting is what the Secret said at the last look, and since when it has.
type sighting struct {
	content *content
	since   time.Time
}

// see notes a look, and returns since when the Secret has said that.
func (s *sighting) see(c *content, now time.Time) time.Time {
	if !c.equal(s.content) || now.Before(s.since) {
		*s = sighting{content: c, since: now}
	}
	return s.since
}

// A moment is what a step depends on of time: all of this replica's clock.
type moment struct {
	now   time.Time
	since time.Time // when the Secret was first seen as it is
}

// overlapped reports whether what was made at that time has been there for an
// overlap.
func (m moment) overlapped(made time.Time, l lives) bool {
	return !m.now.Before(made.Add(l.overlap)) && !m.now.Before(m.since.Add(min(seenFor, l.overlap)))
}

// repairs are those that this replica made.
type repairs struct {
	last  time.Time
	pause time.Duration // after the last
}

// wait reports whether the next one is too soon.
func (r *repairs) wait(now time.Time) bool {
	since := now.Sub(r.last)
	return since >= 0 && since < r.pause
}

// made notes one. The pause begins anew after a quiet time.
func (r *repairs) made(now time.Time) {
	quiet := now.Sub(r.last) > r.pause+lastRepairPause
	r.pause = min(2*r.pause, lastRepairPause)
	if quiet || r.pause == 0 {
		r.pause = firstRepairPause
	}
	r.last = now
}
