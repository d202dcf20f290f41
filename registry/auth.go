package registry

import (
	"context"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/bonafide-dev/bonafide/evidence"
)

// tokens remembers how hosts authenticate and the tokens they gave, each per
// credential. Nobody's token serves anybody else (TRUST R36).
type tokens struct {
	challenges *recent[challengeKey, remembered]
	held       *recent[tokenKey, token]
	flights    singleflight.Group
}

type challengeKey struct{ host, identity string }

// remembered is the challenge of a host, as far as it does not depend on the
// repository.
type remembered struct {
	challenge challenge
	until     time.Time
}

type tokenKey struct{ host, identity, realm string }

func newTokens() *tokens {
	return &tokens{
		challenges: newRecent[challengeKey, remembered](maxChallenges),
		held:       newRecent[tokenKey, token](maxTokens),
	}
}

// authorized sends a query with the credentials that its host is known to ask
// for, and answers a challenge once. Whatever challenges after a redirect to
// another place gets nothing (TRUST R6).
func (c *Client) authorized(ctx context.Context, q query) (answer, error) {
	first, err := c.remembered(ctx, q)
	if err != nil {
		return answer{}, err
	}
	a, err := c.follow(ctx, q, first.header)
	if err != nil || a.status != http.StatusUnauthorized || a.left {
		return a, err
	}
	ch, found := pickChallenge(a.header.Values("Www-Authenticate"))
	if !found {
		return a, nil
	}
	second, err := c.challenged(ctx, q, a, ch, first)
	if err != nil || second.header == "" || second.header == first.header {
		return a, err
	}
	return c.follow(ctx, q, second.header)
}

// authorization is a header's value and, for a token, the key it is held by.
type authorization struct {
	header string
	key    tokenKey
}

// remembered returns the authorization that the host asked for last time, so
// that a token is fetched before the first refusal. A realm that fails now is
// left to the challenge.
func (c *Client) remembered(ctx context.Context, q query) (authorization, error) {
	if q.credential.RegistryToken != "" {
		return authorization{header: "Bearer " + q.credential.RegistryToken}, nil
	}
	known, found := c.tokens.challenges.get(challengeKey{host: hostKey(q.url), identity: q.credential.Identity()})
	if !found || !c.options.Clock().Before(known.until) {
		return authorization{}, nil
	}
	given, err := c.authorizationFor(ctx, q, answer{url: q.url}, known.challenge)
	if err != nil && ctx.Err() != nil {
		return authorization{}, contextProblem(ctx.Err())
	}
	if err != nil {
		return authorization{}, nil //nolint:nilerr // the registry is asked without, and its challenge answered
	}
	return given, nil
}

// challenged answers a challenge. A token that was sent and refused is dropped.
func (c *Client) challenged(ctx context.Context, q query, a answer, ch challenge, sent authorization) (authorization, error) {
	if sent.key != (tokenKey{}) {
		c.tokens.held.remove(sent.key)
	}
	given, err := c.authorizationFor(ctx, q, a, ch)
	if err == nil && given.header != "" {
		key := challengeKey{host: hostKey(q.url), identity: q.credential.Identity()}
		c.tokens.challenges.put(key, remembered{challenge: general(ch), until: c.options.Clock().Add(challengeLife)})
	}
	return given, err
}

// general leaves out of a challenge what is about one repository.
func general(ch challenge) challenge {
	var scopes []string
	for _, scope := range strings.Fields(ch.params["scope"]) {
		if !strings.HasPrefix(scope, "repository:") {
			scopes = append(scopes, scope)
		}
	}
	return challenge{scheme: ch.scheme, params: map[string]string{
		"realm": ch.params["realm"], "service": ch.params["service"], "scope": strings.Join(scopes, " "),
	}}
}

func (c *Client) authorizationFor(ctx context.Context, q query, a answer, ch challenge) (authorization, error) {
	if ch.scheme != "bearer" {
		if q.credential.Username == "" && q.credential.Password == "" {
			return authorization{}, nil
		}
		return authorization{header: basic(q.credential)}, nil
	}
	r, err := parseRealm(q, ch)
	if err != nil {
		return authorization{}, err
	}
	if q.credential.OwnHostOnly && hostKey(r.at) != hostKey(q.url) {
		return authorization{}, atRealm(&evidence.Problem{Reason: evidence.RegistryRefused, Expected: "a token realm at the registry's own host, as the credential is for that alone", Got: "another host"}, r)
	}
	key := tokenKey{host: hostKey(q.url), identity: q.credential.Identity(), realm: r.key()}
	if held, found := c.tokens.held.get(key); found && c.options.Clock().Before(held.expires) {
		return authorization{header: "Bearer " + held.value, key: key}, nil
	}
	t, err := c.sharedToken(ctx, q, a, r, key)
	if err != nil {
		return authorization{}, err
	}
	return authorization{header: "Bearer " + t.value, key: key}, nil
}

// sharedToken fetches a token once for all who wait for it. The flight has its
// own time: a caller that goes away does not end it (TRUST R38).
func (c *Client) sharedToken(ctx context.Context, q query, a answer, r realm, key tokenKey) (token, error) {
	origin := *a.url
	done := c.tokens.flights.DoChan(hashOf(key.host, key.identity, key.realm), func() (any, error) {
		flight, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*c.options.RequestTimeout)
		defer cancel()
		t, err := c.fetchToken(flight, q, &origin, r)
		if err == nil {
			c.tokens.held.put(key, t)
		}
		return t, err
	})
	select {
	case <-ctx.Done():
		return token{}, contextProblem(ctx.Err())
	case result := <-done:
		t, _ := result.Val.(token) // the zero token comes with an error
		return t, flightProblem(result.Err)
	}
}

// flightProblem keeps the flight's own deadline from looking like the
// caller's.
func flightProblem(err error) error {
	if err == nil {
		return nil
	}
	p := *evidence.ProblemOf(err)
	if p.Reason == evidence.DeadlineExceeded || p.Reason == evidence.Cancelled {
		p = evidence.Problem{Reason: evidence.RegistryTimeout, Path: p.Path, Expected: "a token in time", Got: "none"}
	}
	return &p
}
