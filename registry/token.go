package registry

import (
	"context"
	"encoding/base64"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// realm is where and how tokens are fetched for one repository.
type realm struct {
	at      *url.URL
	service string
	scopes  []string
}

// key names what a token of the realm is good for.
func (r realm) key() string {
	return hashOf(append([]string{r.at.String(), r.service}, r.scopes...)...)
}

// token is what a realm gave.
type token struct {
	value   string
	expires time.Time
}

// parseRealm reads a Bearer challenge.
func parseRealm(q query, ch challenge) (realm, error) {
	text := ch.params["realm"]
	if len(text) > maxLocation {
		return realm{}, &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: "a token realm of a few hundred bytes", Got: "more"}
	}
	at, err := url.Parse(text)
	if err != nil || at.Host == "" {
		return realm{}, &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: "a URL as token realm", Got: "something else"}
	}
	at.Fragment = ""
	return realm{at: at, service: ch.params["service"], scopes: scopesFor(q.repository.Path(), ch.params["scope"])}, nil
}

// fetchToken asks a realm for a token. It implements both forms of the
// distribution specification: GET with Basic credentials or none (auth/token),
// and OAuth 2's refresh token grant for identity tokens (auth/oauth). Realms
// do not redirect: a redirect is refused, so credentials go to one place alone
// (TRUST R6).
func (c *Client) fetchToken(ctx context.Context, q query, origin *url.URL, r realm) (token, error) {
	h := hop{kind: KindToken, reach: c.reachOf(KindToken, origin, r.at), method: http.MethodGet, url: r.at, header: http.Header{}, limit: maxTokenBody}
	h.header.Set("Accept", "application/json")
	if q.credential.IdentityToken != "" {
		h.method, h.body = http.MethodPost, r.refreshForm(q.credential.IdentityToken)
		h.header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		h.url = r.query()
		if q.credential.Username != "" || q.credential.Password != "" {
			h.header.Set("Authorization", basic(q.credential))
		}
	}
	asked := c.options.Clock()
	a, err := c.send(ctx, h)
	if err != nil {
		return token{}, atRealm(err, r)
	}
	switch {
	case isRedirect(a.status):
		return token{}, atRealm(&evidence.Problem{Reason: evidence.RegistryRefused, Expected: "a token realm that answers itself", Got: "a redirect"}, r)
	case a.status == http.StatusBadRequest, a.status == http.StatusNotFound:
		// OAuth 2 refuses a grant with 400 (RFC 6749 §5.2); and a realm that is
		// not there is no sign that the image is not.
		p := statusProblem(a)
		p.Reason = evidence.RegistryUnauthorized
		return token{}, atRealm(p, r)
	case a.status != http.StatusOK:
		return token{}, atRealm(statusProblem(a), r)
	}
	t, err := parseToken(a.body, asked)
	return t, atRealm(err, r)
}

// atRealm says that a problem is about the token realm. Of its URL the host is
// named alone.
func atRealm(err error, r realm) error {
	if err == nil {
		return nil
	}
	p := *evidence.ProblemOf(err)
	p.Path = "token realm " + clip(hostKey(r.at))
	return &p
}

func (r realm) query() *url.URL {
	u := *r.at
	values := u.Query()
	if r.service != "" {
		values.Set("service", r.service)
	}
	values["scope"] = r.scopes
	u.RawQuery = values.Encode()
	return &u
}

func (r realm) refreshForm(identityToken string) string {
	return url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {identityToken},
		"service":       {r.service},
		"client_id":     {"bonafide"},
		"scope":         {strings.Join(r.scopes, " ")},
	}.Encode()
}

func basic(c Credential) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
}

// parseToken reads a realm's answer. The token's life counts from when it was
// asked for, by our clock.
func parseToken(body []byte, asked time.Time) (token, error) {
	var doc struct {
		Token       string  `json:"token"`
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if err := evidence.DecodeJSON(body, &doc); err != nil {
		// The error is left out: it may quote the token.
		return token{}, &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: "a token as JSON", Got: "something else"}
	}
	value := doc.Token
	if value == "" {
		value = doc.AccessToken
	}
	if value == "" || len(value) > maxToken || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return token{}, &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: "a token of printable characters", Got: "none or another"}
	}
	life := defaultTokenLife
	if doc.ExpiresIn > 0 {
		life = time.Duration(math.Min(doc.ExpiresIn, maxTokenLife.Seconds()) * float64(time.Second))
	}
	// Used up to nine tenths of its life, so that it does not expire on its way.
	return token{value: value, expires: asked.Add(life - life/10)}, nil
}
