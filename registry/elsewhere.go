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
	if err := checkName(req.URL.Hostname(), notLocal, e.client.options.ServiceNetworks); err != nil {
		return nil, err
	}
	return e.client.transports.roundTrip(req, reach{rule: notLocal})
}
