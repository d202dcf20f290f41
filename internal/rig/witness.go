package rig

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/rest"
)

// A Witness stands between a program and the API server and remembers what was
// asked, and which of it the API server refused as forbidden. It adds no rights:
// each request goes on with the token that came with it. It is safe for
// concurrent use.
type Witness struct {
	host string
	ca   []byte

	mu        sync.Mutex
	permitted map[authorizationv1.ResourceAttributes]bool
	forbidden []string
	refused   []authorizationv1.ResourceAttributes
}

// Witness starts one, which ends with tb.
func (c *Cluster) Witness(tb testing.TB) *Witness {
	tb.Helper()
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(c.Config)) // each request brings its own token
	if err != nil {
		tb.Fatal(err)
	}
	target, err := url.Parse(c.Config.Host)
	if err != nil {
		tb.Fatal(err)
	}
	w := &Witness{permitted: map[authorizationv1.ResourceAttributes]bool{}}
	server := httptest.NewTLSServer(&httputil.ReverseProxy{ // clients send no token without TLS
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1, // watches
		ModifyResponse: w.see,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway) // a watch whose client went away
		},
	})
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	w.host = server.URL
	w.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return w
}

// Before returns a configuration that goes by the witness, with the token of
// another.
func (w *Witness) Before(config *rest.Config) *rest.Config {
	return &rest.Config{Host: w.host, BearerToken: config.BearerToken, TLSClientConfig: rest.TLSClientConfig{CAData: w.ca}}
}

// Permitted returns each kind of request about a resource that was not
// forbidden, once, as an authorizer sees it.
func (w *Witness) Permitted() []authorizationv1.ResourceAttributes {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []authorizationv1.ResourceAttributes
	for asked := range w.permitted {
		all = append(all, asked)
	}
	slices.SortFunc(all, func(a, b authorizationv1.ResourceAttributes) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// Forbidden returns the requests that the API server refused, as words.
func (w *Witness) Forbidden() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.forbidden)
}

// Refused returns those of the forbidden requests that are about a resource.
func (w *Witness) Refused() []authorizationv1.ResourceAttributes {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.refused)
}

func (w *Witness) see(response *http.Response) error {
	asked, isResource := attributesOf(response.Request)
	w.mu.Lock()
	defer w.mu.Unlock()
	if response.StatusCode == http.StatusForbidden {
		w.forbidden = append(w.forbidden, fmt.Sprintf("%s %s", response.Request.Method, response.Request.URL.RequestURI()))
		if isResource {
			w.refused = append(w.refused, asked)
		}
		return nil
	}
	if isResource {
		w.permitted[asked] = true
	}
	return nil
}

// attributesOf are what an authorizer sees of a request, as the API server's
// request info resolver reads them from it; false if it is about no resource.
func attributesOf(r *http.Request) (authorizationv1.ResourceAttributes, bool) {
	var a authorizationv1.ResourceAttributes
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		a.Group = parts[1]
		parts = parts[3:]
	default:
		return a, false
	}
	if len(parts) > 1 && parts[0] == "namespaces" { // also of the namespace itself
		a.Namespace = parts[1]
		if len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
			parts = parts[2:]
		}
	}
	named := [3]string{}
	copy(named[:], parts)
	a.Resource, a.Name, a.Subresource = named[0], named[1], named[2]
	a.Verb = verbOf(r, a.Name)
	if a.Name == "" && (a.Verb == "list" || a.Verb == "watch") {
		if selector, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector")); err == nil {
			a.Name, _ = selector.RequiresExactMatch("metadata.name")
		}
	}
	return a, true
}

func verbOf(r *http.Request, name string) string {
	switch r.Method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if name == "" {
			return "deletecollection"
		}
		return "delete"
	}
	if watch := r.URL.Query().Get("watch"); watch == "true" || watch == "1" {
		return "watch"
	}
	if name == "" {
		return "list"
	}
	return "get"
}
