package notation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-core-go/revocation/result"
)

const (
	// maxServices bounds the services that one certificate names and that are
	// asked. Real ones name one of each kind.
	maxServices = 4
	// checkTimeout bounds the look-up of one chain, all its certificates at
	// once. It leaves an admission webhook of 10 s time to decide.
	checkTimeout = 5 * time.Second
)

// Online is a Revocation that asks the services which certificates name: OCSP
// first, and CRL where OCSP is not named or does not know. Only URLs of the
// scheme http are asked, as the specification has it. Answers are not cached:
// proofs are, until the answers' nextUpdate.
//
// Make one with [NewOnline]; the zero Online answers Unknown.
type Online struct {
	client *http.Client
	now    func() time.Time
}

// NewOnline returns an Online that connects through client. The addresses that
// may be reached, redirects and the time for one request are the client's to
// bound; bytes are bounded here: 20 KiB for an OCSP response, 32 MiB for all
// revocation lists of one chain.
func NewOnline(client *http.Client, now func() time.Time) (*Online, error) {
	if client == nil || now == nil {
		return nil, errors.New("notation revocation: expected an HTTP client and a clock, got nil")
	}
	return &Online{client: client, now: now}, nil
}

// ID returns "online".
func (*Online) ID() string { return "online" }

// Check asks about a chain within 5 s or the context's deadline.
func (o *Online) Check(ctx context.Context, chain Chain) (a Answer) {
	if o.client == nil || len(chain.Certificates) == 0 {
		return Answer{Err: errors.New("expected a client and a chain, got none")}
	}
	for i, c := range chain.Certificates[:len(chain.Certificates)-1] {
		if n := max(len(c.OCSPServer), len(c.CRLDistributionPoints)); n > maxServices {
			return Answer{Err: fmt.Errorf("certificate %d: expected at most %d revocation services of a kind, got %d", i, maxServices, n)}
		}
	}
	defer func() {
		// The library does not expect some of what a service can answer.
		if r := recover(); r != nil {
			a = Answer{Err: fmt.Errorf("revocation check panicked: %v", r)}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	seen := &updates{}
	v, err := o.validator(chain, seen)
	if err != nil {
		return Answer{Err: err}
	}
	results, err := v.ValidateContext(ctx, revocation.ValidateContextOptions{CertChain: chain.Certificates, AuthenticSigningTime: chain.SigningTime})
	if err != nil {
		return Answer{Err: fmt.Errorf("check revocation: %w", err)}
	}
	a = answerOf(chain, results)
	a.NextUpdate = seen.earliest()
	return a
}

// validator makes the library's validator for one chain, so that its requests
// can be told to belong to it.
func (o *Online) validator(chain Chain, seen *updates) (revocation.Validator, error) {
	ocspClient := *o.client
	ocspClient.Transport = &responder{next: orDefault(o.client.Transport), chain: chain, now: o.now, seen: seen}
	listClient := *o.client
	listClient.Transport = &budget{next: orDefault(o.client.Transport)}
	fetcher, err := crl.NewHTTPFetcher(&listClient)
	if err != nil {
		return nil, fmt.Errorf("make a CRL fetcher: %w", err)
	}
	options := revocation.Options{OCSPHTTPClient: &ocspClient, CRLFetcher: &lists{next: fetcher, chain: chain, seen: seen}, CertChainPurpose: purpose.CodeSigning}
	if chain.Timestamping {
		options.CertChainPurpose = purpose.Timestamping
	}
	v, err := revocation.NewWithOptions(options)
	if err != nil {
		return nil, fmt.Errorf("make a revocation validator: %w", err)
	}
	return v, nil
}

func orDefault(t http.RoundTripper) http.RoundTripper {
	if t == nil {
		return http.DefaultTransport
	}
	return t
}

// answerOf translates the library's results.
func answerOf(chain Chain, results []*result.CertRevocationResult) Answer {
	var a Answer
	for i, r := range results {
		switch {
		case r == nil:
			a.Statuses = append(a.Statuses, Unknown)
		case r.Result == result.ResultRevoked:
			a.Statuses = append(a.Statuses, Revoked)
		case r.Result == result.ResultOK:
			a.Statuses = append(a.Statuses, Good)
		case r.Result == result.ResultNonRevokable && (i == len(results)-1 || !namesRevocation(chain.Certificates[i])):
			a.Statuses = append(a.Statuses, NotRevocable)
		default:
			a.Statuses = append(a.Statuses, Unknown)
			for _, s := range r.ServerResults {
				if s != nil && s.Error != nil {
					a.Err = errors.Join(a.Err, s.Error)
				}
			}
		}
	}
	if a.Err == nil && slices.Contains(a.Statuses, Unknown) {
		a.Err = errors.New("no revocation service gave an answer")
	}
	return a
}

// updates collects the nextUpdate times of answers. It is safe for concurrent
// use.
type updates struct {
	mu    sync.Mutex
	first time.Time
}

func (u *updates) add(t time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.first = earliest(u.first, t)
}

func (u *updates) earliest() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.first
}
