package certificates

import (
	"slices"
	"time"
)

// An order is what an operator asks for by [RotateAnnotation].
type order string

const (
	orderNone order = ""
	orderLeaf order = "leaf"
	orderCA   order = "ca"
	orderNow  order = "now"
)

// orderOf reads the annotation, if there is one. False is for a value that is no
// order.
func orderOf(annotations map[string]string) (order, bool) {
	value, given := annotations[RotateAnnotation]
	if !given {
		return orderNone, true
	}
	switch o := order(value); o {
	case orderLeaf, orderCA, orderNow:
		return o, true
	default:
		return orderNone, false
	}
}

// A step is one write of the Secret.
type step struct {
	to *content
	// why is for the log and the Event.
	why string
	// done says that it follows the operator's order.
	done bool
	// repair says that what was there could not be served, rather than that its
	// time had come.
	repair bool
}

// lives are the durations that a rotation goes by.
type lives struct{ ca, leaf, overlap time.Duration }

// next is the step that is due, or nil. Every replica comes to the same one at
// the same time; which of them takes it is settled by the Secret's version.
func (c *content) next(at moment, l lives, hosts []string, asked order) (*step, error) {
	now, newest := at.now, c.authorities[0]
	rotating := len(c.authorities) > 1
	switched := c.leaf.isFrom(newest)
	switch {
	case asked == orderNow:
		return fresh(now, l, hosts, nil, step{why: "a new authority was asked for at once", done: true})
	case !now.Before(newest.certificate.NotAfter):
		return fresh(now, l, hosts, nil, step{why: "the authority had expired", repair: true})
	case !newest.validAt(now) && (switched || !c.leaf.validAt(now)): // while it issues nothing, nobody minds
		return fresh(now, l, hosts, &newest, step{why: "the authority is not valid yet by this replica's clock", repair: true})
	case !now.Before(c.leaf.certificate.NotAfter):
		return c.renew(at, l, hosts, step{why: "the certificate had expired", repair: true})
	case !c.leaf.validAt(now):
		return c.renew(at, l, hosts, step{why: "the certificate is not valid yet by this replica's clock", repair: true})
	case rotating && !switched && at.overlapped(newest.issued(), l):
		return c.renew(at, l, hosts, step{why: "the new authority has been published for an overlap, and issues from now on"})
	case rotating && switched && at.overlapped(c.leaf.issued(), l):
		return &step{to: &content{authorities: c.authorities[:1], leaf: c.leaf}, why: "the old authority issued nothing that is served"}, nil
	case !rotating && asked == orderCA:
		return c.announce(now, l, step{why: "a new authority was asked for", done: true})
	case !rotating && !now.Before(newest.due()):
		return c.announce(now, l, step{why: "the authority has reached two thirds of its life"})
	case asked == orderLeaf:
		return c.renew(at, l, hosts, step{why: "a new certificate was asked for", done: true})
	case !now.Before(c.leaf.due()):
		return c.renew(at, l, hosts, step{why: "the certificate has reached two thirds of its life"})
	case !c.leaf.covers(hosts):
		// Another replica, of another version, may need the hosts that it has.
		return c.renew(at, l, union(hosts, c.leaf.hosts()), step{why: "the certificate did not name all hosts"})
	}
	return nil, nil
}

// fresh makes everything anew. An authority to keep stays in the bundle.
func fresh(now time.Time, l lives, hosts []string, keep *pair, s step) (*step, error) {
	authority, err := newAuthority(now, l.ca)
	if err != nil {
		return nil, err
	}
	leaf, err := authority.issue(now, l.leaf, hosts)
	if err != nil {
		return nil, err
	}
	s.to = &content{authorities: []pair{authority}, leaf: leaf}
	if keep != nil {
		s.to.authorities = append(s.to.authorities, pair{certificate: keep.certificate})
	}
	return &s, nil
}

// announce publishes a new authority that issues nothing yet.
func (c *content) announce(now time.Time, l lives, s step) (*step, error) {
	authority, err := newAuthority(now, l.ca)
	if err != nil {
		return nil, err
	}
	s.to = &content{authorities: []pair{authority, c.authorities[0]}, leaf: c.leaf}
	return &s, nil
}

// renew issues a leaf: by the old authority while the new one may not have
// reached every caller, by the new one otherwise, whose predecessor's key then
// goes.
func (c *content) renew(at moment, l lives, hosts []string, s step) (*step, error) {
	authorities := slices.Clone(c.authorities)
	issuer := authorities[0]
	if last := len(authorities) - 1; last > 0 {
		old := authorities[last]
		early := !at.overlapped(issuer.issued(), l) && !c.leaf.isFrom(issuer)
		if early && old.key != nil && old.validAt(at.now) {
			issuer = old
		} else {
			authorities[last].key = nil
		}
	}
	leaf, err := issuer.issue(at.now, l.leaf, hosts)
	if err != nil {
		return nil, err
	}
	s.to = &content{authorities: authorities, leaf: leaf}
	return &s, nil
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
