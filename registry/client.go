package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Client reads registries. It holds connections, tokens and what is known of
// each host, all bounded, for as long as the process lives. It is safe for
// concurrent use.
type Client struct {
	options           Options
	allowed, insecure hostSet

	transports  *transports
	bodies      *bodyReader
	gates       *recent[string, *gate]
	tokens      *tokens
	noReferrers *recent[referrersKey, time.Time]
}

// New returns a Client. The error is about Options that contradict themselves
// or name no host.
func New(o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{options: o}
	if c.allowed, err = newHostSet(o.AllowedHosts); err != nil {
		return nil, fmt.Errorf("allowed hosts: %w", err)
	}
	if c.insecure, err = newHostSet(o.InsecureHosts); err != nil {
		return nil, fmt.Errorf("insecure hosts: %w", err)
	}
	c.transports = newTransports(&c.options)
	c.bodies = newBodyReader(o.Limits.InFlightBytes)
	c.gates = newRecent[string, *gate](maxHosts)
	c.tokens = newTokens()
	c.noReferrers = newRecent[referrersKey, time.Time](maxNoReferrers)
	return c, nil
}

// Close closes idle connections. Requests in flight go on.
func (c *Client) Close() { c.transports.closeIdle() }

// Named reports whether the operator vouches for the repository's host, as an
// allowed or an insecure one (TRUST R41).
func (c *Client) Named(repository imageref.Repository) bool {
	u := registryURL(repository, "", "")
	return !repository.IsZero() && (c.isAllowed(u) || c.isInsecure(u))
}

// Source returns a source for one repository, read with the puller's
// credentials, and the identity of these for the keys of caches: "" if there
// are none (TRUST R36). It makes no request to the registry. The error is a
// *evidence.Problem with reason CredentialsFailed.
func (c *Client) Source(ctx context.Context, puller evidence.Puller, repository imageref.Repository) (src evidence.Source, identity string, err error) {
	if repository.IsZero() {
		return nil, "", &evidence.Problem{Reason: evidence.MalformedReference, Expected: "a repository", Got: "none"}
	}
	found, err := c.credentialsFor(ctx, puller, repository)
	if err != nil {
		return nil, "", err
	}
	upstream := c.newSource(repository, found)
	host := hostKey(registryURL(repository, "", ""))
	if mirrors := c.options.Hosts.current().settings(host).mirrors; len(mirrors) > 0 {
		src, identity = c.mirroredSource(ctx, puller, upstream, mirrors)
		return src, identity, nil
	}
	return upstream, upstream.identity, nil
}

func (c *Client) newSource(repository imageref.Repository, found []Credential) *source {
	identity := identityOf(found)
	if len(found) == 0 {
		found = []Credential{{}}
	}
	return &source{client: c, repository: repository, credentials: found, identity: identity}
}

// credentialsFor asks the keychain. A credential that needs verified TLS is left
// out for a host that is met without.
func (c *Client) credentialsFor(ctx context.Context, puller evidence.Puller, repository imageref.Repository) ([]Credential, error) {
	if c.options.Keychain == nil {
		return nil, nil
	}
	found, err := c.options.Keychain.Credentials(ctx, puller, repository)
	if err != nil {
		return nil, credentialsProblem(ctx, repository, err)
	}
	var usable []Credential
	unverified := c.isInsecure(registryURL(repository, "", ""))
	for _, credential := range found {
		if len(usable) < maxCredentials && (!credential.OwnHostOnly || !unverified) {
			usable = append(usable, credential)
		}
	}
	return usable, nil
}

// credentialsProblem keeps what a keychain classified and classifies the rest.
func credentialsProblem(ctx context.Context, repository imageref.Repository, err error) error {
	if ctx.Err() != nil {
		err = contextProblem(ctx.Err())
	}
	p := *evidence.ProblemOf(err)
	if p.Reason == evidence.Internal {
		p = evidence.Problem{Reason: evidence.CredentialsFailed, Expected: "credentials", Got: "an error of the keychain"}
	}
	p.Host = repository.Host()
	return &p
}
