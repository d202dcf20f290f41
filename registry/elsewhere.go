package registry

import "net/http"

// Elsewhere returns a transport for what is not a registry: the services that a
// verified certificate names, of its revocation for instance. It goes by the
// client's proxy, certificate authorities, time limits and address rule for
// strangers (TRUST R8), sends no credentials and follows no redirect. It is
// safe for concurrent use.
func (c *Client) Elsewhere() http.RoundTripper { return elsewhere{c} }

type elsewhere struct{ client *Client }

// RoundTrip implements [http.RoundTripper].
func (e elsewhere) RoundTrip(req *http.Request) (*http.Response, error) {
	r := reach{rule: notLocal, plain: true} // such answers are signed
	if err := e.client.checkURL(req.URL, r); err != nil {
		return nil, err
	}
	return e.client.transports.roundTrip(req, r)
}

// Mirrors is as [Client.Elsewhere], for services that a policy names, such as a
// TUF mirror: hosts that the operator named may be anywhere, as registries may.
func (c *Client) Mirrors() http.RoundTripper { return mirrors{c} }

type mirrors struct{ client *Client }

// RoundTrip implements [http.RoundTripper].
func (m mirrors) RoundTrip(req *http.Request) (*http.Response, error) {
	r := m.client.reachOf(KindBlob, req.URL, req.URL)
	if err := m.client.checkURL(req.URL, r); err != nil {
		return nil, err
	}
	return m.client.transports.roundTrip(req, r)
}
