// Package cloudkeys finds the credentials that a cloud gives the machine or the
// Pod that Bonafide runs in, for the registries of that cloud: Amazon ECR, Google
// Artifact Registry with gcr.io, and Azure Container Registry.
//
// A provider is asked for its own hosts alone, by a list that is compared label
// by label, and what it gives goes to the very host it was asked for and to no
// token realm elsewhere (TRUST R6). Nothing is asked before an image names such
// a host. The providers' libraries make the requests, to metadata services too,
// with their own HTTP clients.
package cloudkeys

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

const (
	// askTimeout is how long a look-up waits for a provider. It fits into a
	// webhook's deadline with time left to ask the registry.
	askTimeout = 4 * time.Second
	// givenLife is how long a credential is used again. Google's metadata service
	// gives tokens that live for five minutes more at least; the others' live for
	// hours.
	givenLife = 4 * time.Minute
	// failedLife is how long a failure is: a metadata service that hangs makes
	// one look-up wait, not all.
	failedLife = 15 * time.Second
	// maxAsked bounds the requests to providers at once, those that nobody waits
	// for any more included.
	maxAsked = 8
	// maxGiven bounds the credentials remembered: who names images chooses among
	// a provider's hosts.
	maxGiven = 512
)

// A Provider gives credentials for the registries of one cloud. Implementations
// are safe for concurrent use.
type Provider interface {
	// Scope must return false for a host that is not the provider's: it is never
	// asked about it. Hosts of one scope share a credential.
	Scope(host string) (scope string, ours bool)
	// Credential must return what the environment gives for the host. It should
	// end with the context; if it does not, nobody waits for it.
	Credential(ctx context.Context, host string) (registry.Credential, error)
}

// Names are the providers that [New] knows.
func Names() []string { return []string{"aws", "azure", "gcp"} }

// New returns the keychain of the named providers; an unknown or repeated name
// is an error. Nothing is asked yet. An error of a look-up is a
// *evidence.Problem with reason CredentialsFailed.
func New(names []string, now func() time.Time) (*Keychain, error) {
	var providers []Named
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			return nil, fmt.Errorf("expected each cloud once, got %q again", name)
		}
		seen[name] = true
		switch name {
		case "aws":
			providers = append(providers, Named{name, newAmazon()})
		case "azure":
			azure, err := newAzure()
			if err != nil {
				return nil, err
			}
			providers = append(providers, Named{name, azure})
		case "gcp":
			providers = append(providers, Named{name, google{}})
		default:
			return nil, fmt.Errorf("expected a cloud out of %s, got %q", strings.Join(Names(), ", "), name)
		}
	}
	return NewKeychain(now, providers...), nil
}

// Named is a provider and its name in messages.
type Named struct {
	Name     string
	Provider Provider
}

// Keychain is the [registry.Keychain] of some clouds. What it gives is the
// operator's (TRUST R36). It is safe for concurrent use.
type Keychain struct {
	now       func() time.Time
	providers []Named
	asking    *semaphore.Weighted
	flights   singleflight.Group

	mu    sync.Mutex
	given map[string]answer // by provider and scope
}

type answer struct {
	credential registry.Credential
	err        error
	until      time.Time
}

// NewKeychain returns the keychain of providers; the first whose host it is
// counts.
func NewKeychain(now func() time.Time, providers ...Named) *Keychain {
	return &Keychain{now: now, providers: providers, asking: semaphore.NewWeighted(maxAsked), given: make(map[string]answer)}
}

// Credentials implements [registry.Keychain]. Pullers are ignored.
func (k *Keychain) Credentials(ctx context.Context, _ evidence.Puller, r imageref.Repository) ([]registry.Credential, error) {
	for _, p := range k.providers {
		scope, ours := p.Provider.Scope(r.Host())
		if !ours {
			continue
		}
		credential, err := k.ask(ctx, p, p.Name+" "+scope, r.Host())
		if err != nil {
			return nil, err
		}
		credential.Operator, credential.OwnHostOnly = true, true
		return []registry.Credential{credential}, nil
	}
	return nil, nil
}

// ask asks a provider once for all who wait, and waits no longer than
// [askTimeout] for it. Who comes after the slots are taken by a provider that
// hangs waits as long.
func (k *Keychain) ask(ctx context.Context, p Named, key, host string) (registry.Credential, error) {
	if known, found := k.remembered(key); found {
		return known.credential, known.err
	}
	done := k.flights.DoChan(key, func() (any, error) {
		flight, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		credential, err := k.bounded(flight, p, host)
		k.remember(key, credential, err)
		return credential, err
	})
	select {
	case <-ctx.Done():
		return registry.Credential{}, problem(p.Name, host, "no answer in the caller's time")
	case result := <-done:
		credential, _ := result.Val.(registry.Credential) // the zero one comes with an error
		return credential, result.Err
	}
}

// bounded ends in time even if the provider's library does not.
func (k *Keychain) bounded(ctx context.Context, p Named, host string) (registry.Credential, error) {
	if err := k.asking.Acquire(ctx, 1); err != nil {
		return registry.Credential{}, problem(p.Name, host, "no answer to earlier requests within "+askTimeout.String())
	}
	type result struct {
		credential registry.Credential
		failed     bool
	}
	done := make(chan result, 1)
	go func() {
		defer k.asking.Release(1)
		defer func() {
			if recover() != nil { // a library that panics must not end the process, nor allow (TRUST R48)
				done <- result{failed: true}
			}
		}()
		credential, err := p.Provider.Credential(ctx, host)
		done <- result{credential, err != nil || credential.IsZero()}
	}()
	select {
	case <-ctx.Done():
		return registry.Credential{}, problem(p.Name, host, "no answer within "+askTimeout.String())
	case got := <-done:
		if got.failed {
			// The library's text is left out: it may quote what was sent (TRUST R47).
			return registry.Credential{}, problem(p.Name, host, "none from the environment, its files or its metadata service")
		}
		return got.credential, nil
	}
}

func (k *Keychain) remembered(key string) (answer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, found := k.given[key]
	return known, found && k.now().Before(known.until)
}

func (k *Keychain) remember(key string, credential registry.Credential, err error) {
	life := givenLife
	if err != nil {
		life = failedLife
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if len(k.given) >= maxGiven {
		for other, known := range k.given {
			if !now.Before(known.until) {
				delete(k.given, other)
			}
		}
	}
	if len(k.given) < maxGiven { // else it is asked for again
		k.given[key] = answer{credential, err, now.Add(life)}
	}
}

func problem(name, host, got string) error {
	return &evidence.Problem{Reason: evidence.CredentialsFailed, Host: host, Path: "cloud " + name, Expected: "credentials for the registry", Got: got}
}
