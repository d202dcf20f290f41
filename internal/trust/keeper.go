package trust

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
)

// Interval is how often [Keeper.Run] wants a tick.
const Interval = time.Second

const (
	// DefaultMaxStale is how long a trusted root stays in use after its
	// repository's metadata expired, if nothing newer can be had. Sigstore signs
	// its timestamp for a week at a time: an outage of a mirror that lasts a week
	// is survived, and an attacker who freezes one gains no more than that.
	DefaultMaxStale = 7 * 24 * time.Hour
	// MaxKeyAge is how long a key stays in use after its key management service
	// last confirmed it.
	MaxKeyAge = 24 * time.Hour

	// DefaultTimeout bounds one look at a mirror or a key management service,
	// however many files it takes.
	DefaultTimeout = 30 * time.Second

	// mirrorRefresh and keyRefresh are how often what is known is looked at again.
	mirrorRefresh = time.Hour
	keyRefresh    = 15 * time.Minute
	// firstRetry doubles with each failure, up to lastRetry.
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
	// maxEntries bounds mirrors and keys together. Nobody's policies name more.
	maxEntries = 256
	// maxFetches bounds how many are looked at at once.
	maxFetches = 8
)

// Options are what a [Keeper] works with.
type Options struct {
	// Now is the clock. It is required.
	Now func() time.Time
	// Transport reaches TUF mirrors. It decides where one may connect (TRUST R8)
	// and sends no credentials. Redirects are not followed. Nil reaches none.
	Transport http.RoundTripper
	// PlainHTTP reports whether the operator lets the host, with its port if the
	// URL has one, be asked without TLS (TRUST R7). Nil lets none.
	PlainHTTP func(host string) bool
	// PublicKey asks key management services. Nil asks none.
	PublicKey PublicKeyFunc
	// CheckKey refuses a URI that no service could answer, or of a host that may not
	// be asked, when it is named (TRUST R6). Nil takes any that names a scheme of
	// [KeySchemes].
	CheckKey func(uri string) error
	// CheckTrustedRoot refuses a target that is no trusted root, so that it does
	// not take the place of one that is. Nil takes any.
	CheckTrustedRoot func([]byte) error
	// Dir is where verified repositories are kept across restarts; see [CacheDir].
	// It is made, for its owner alone. Empty keeps them in memory.
	Dir string
	// MaxStale is how long an expired trusted root stays in use: 0 is
	// [DefaultMaxStale], less than 0 not at all.
	MaxStale time.Duration
	// Timeout bounds one look at a mirror or a key management service. If it is
	// less than or equal to 0 it is [DefaultTimeout].
	Timeout time.Duration
	// Report receives what is worth a line in a log: material that is new, the
	// first failure, a recovery, and staleness. It may be called concurrently.
	// Nil reports to nobody.
	Report func(Status)
}

// A Keeper knows trust material. Make one with [New]. It is safe for concurrent
// use.
type Keeper struct {
	options Options
	slots   chan struct{}

	mu       sync.Mutex
	entries  map[string]*entry
	revision uint64
}

// New returns a Keeper that knows nothing yet.
func New(o Options) *Keeper {
	if o.MaxStale == 0 {
		o.MaxStale = DefaultMaxStale
	}
	o.MaxStale = max(o.MaxStale, 0)
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Keeper{options: o, slots: make(chan struct{}, maxFetches), entries: map[string]*entry{}}
}

// TrustedRoot returns the trusted root that is known of a mirror, from memory or
// disk, and has the mirror looked at from now on. It does not wait for it.
//
// If none is known the error wraps an [*evidence.Problem] with reason
// TrustRootUnavailable that names the mirror and what failed last. Any other
// error says what is wrong with the specification.
func (k *Keeper) TrustedRoot(spec dialect.TUFSpec) ([]byte, error) {
	m, err := newMirror(spec, &k.options)
	if err != nil {
		return nil, err
	}
	return k.known(m)
}

// PublicKey returns the public key (PEM) that is known of a key management
// service, and has the service asked from now on. It does not wait for it.
//
// If none is known the error wraps an [*evidence.Problem] with reason
// KeyUnavailable. Any other error says what is wrong with the URI.
func (k *Keeper) PublicKey(uri string) ([]byte, error) {
	if err := checkKeyURI(uri); err != nil {
		return nil, err
	}
	if check := k.options.CheckKey; check != nil {
		if err := check(uri); err != nil {
			return nil, err
		}
	}
	return k.known(&key{uri: uri, ask: k.options.PublicKey})
}

// known returns what is known of a source, which is an entry from then on.
func (k *Keeper) known(s source) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entries[s.id()]
	if e == nil {
		if len(k.entries) >= maxEntries {
			return nil, &evidence.Problem{Reason: evidence.LimitExceeded, Path: s.name(), Expected: fmt.Sprintf("at most %d mirrors and keys", maxEntries), Got: "more"}
		}
		e = newEntry(s, k.options.Now())
		k.entries[s.id()] = e
	}
	e.wanted = true
	now := k.options.Now()
	k.note(e, now)
	if m := e.usable(now); m != nil {
		return slices.Clone(m), nil
	}
	return nil, e.problem()
}

// note compares what would be answered now with what was answered last. Who was
// told otherwise learns of it by the revision.
func (k *Keeper) note(e *entry, now time.Time) {
	current := e.answer(now)
	if e.given != (answer{}) && e.given != current {
		k.revision++
	}
	e.given = current
}

// Revision changes when [Keeper.TrustedRoot] or [Keeper.PublicKey] would answer
// otherwise than they did: material came, changed, or grew too old. Whoever
// compiles policies reads it first, and compiles again once it differs.
func (k *Keeper) Revision() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.options.Now()
	for _, e := range k.entries {
		if e.given != (answer{}) {
			k.note(e, now)
		}
	}
	return k.revision
}

// Sweep forgets what nobody has asked for since the last Sweep. It is called
// after everything that is in effect was compiled, so that mirrors and keys that
// no policy names any more are left alone.
func (k *Keeper) Sweep() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, e := range k.entries {
		if !e.wanted && e.done == nil {
			delete(k.entries, id)
		}
		e.wanted = false
	}
}

// Status is what is known of one mirror or key, for people.
type Status struct {
	Name   string // the mirror's URL and target, or the key's URI
	Known  bool   // there is material in use
	Digest string // SHA-256 of it in hexadecimal; empty if there is none
	// Checked is when the source last confirmed it; zero if it never did.
	Checked time.Time
	// Expires is when it becomes stale, and Ends when it is no longer used.
	Expires, Ends time.Time
	Stale         bool  // it is in use although it expired
	Err           error // of the last look, if that failed
	CacheErr      error // why the disk could not be read or written; it decides nothing
}

// Status returns what is known of each source, by name.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]Status, 0, len(k.entries))
	for _, e := range k.entries {
		all = append(all, e.status(k.options.Now()))
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// A source is one mirror or key. It is used by one goroutine at a time.
type source interface {
	// id tells sources apart by everything that they answer by.
	id() string
	// name names it for people.
	name() string
	// reason is that of not knowing anything.
	reason() evidence.Reason
	// restore returns what an earlier process has verified, and nothing if that
	// does not verify now.
	restore(now time.Time) (material, error)
	// fetch asks for the newest. It bounds everything but time.
	fetch(ctx context.Context, now time.Time) (material, error)
	// save keeps what was fetched for another process.
	save() error
}

// material is what a source has vouched for.
type material struct {
	content []byte
	checked time.Time // when it did
	expires time.Time // it is stale from then on
	ends    time.Time // it is not used from then on
	refresh time.Duration
}

func (m material) sum() [sha256.Size]byte { return sha256.Sum256(m.content) }
