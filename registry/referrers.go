package registry

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// referrersKey names who asked which repository. It is not the host: registries
// behind one name differ by path.
type referrersKey struct {
	repository imageref.Repository
	identity   string
}

// Referrers implements [evidence.Source] with the referrers API alone
// (distribution-spec, "Listing Referrers"). That a repository has no such API
// is remembered for a minute, unless the registry only says that it does not
// know the digest: some do so instead of answering with an empty list, and whoever
// asks about one digest must not hide what refers to the others.
func (s *source) Referrers(ctx context.Context, repository imageref.Repository, digest imageref.Digest) (evidence.Referrers, error) {
	q, err := s.query(KindReferrers, repository, "referrers", digest.String())
	if err != nil {
		return evidence.Referrers{}, err
	}
	if digest.IsZero() {
		return evidence.Referrers{}, s.client.locate(q, &evidence.Problem{Reason: evidence.Internal, Expected: "a digest", Got: "none"})
	}
	key := referrersKey{repository: repository, identity: s.identity}
	now := s.client.options.Clock()
	if until, known := s.client.noReferrers.get(key); known && now.Before(until) {
		return evidence.Referrers{}, nil
	}
	q.accept, q.limit = []string{evidence.MediaTypeIndex}, s.client.options.Limits.ManifestBytes
	found, unknown, err := s.pages(ctx, q)
	if err == nil && !found.Supported && !unknown {
		s.client.noReferrers.put(key, now.Add(referrersLife))
	}
	return found, err
}

// pages reads page after page until the list ends or a cap does. Where there is
// no list, unknown reports that the registry does not know the digest.
func (s *source) pages(ctx context.Context, q query) (found evidence.Referrers, unknown bool, err error) {
	limits := s.client.options.Limits
	found = evidence.Referrers{Supported: true}
	seen := map[string]struct{}{}
	for page := 1; ; page++ {
		seen[q.url.RequestURI()] = struct{}{}
		a, err := s.get(ctx, q)
		if page == 1 && (err == nil && !isIndex(a) || lacksReferrers(err)) {
			return evidence.Referrers{}, isUnknown(err), nil
		}
		if err != nil {
			return evidence.Referrers{}, false, err
		}
		m, err := s.client.manifest(q, a, imageref.Digest{})
		if err != nil {
			return evidence.Referrers{}, false, err
		}
		room := limits.Referrers - len(found.Descriptors)
		if len(m.Manifests) > room {
			found.Descriptors, found.Cut = append(found.Descriptors, m.Manifests[:room]...), true
			return found, false, nil
		}
		found.Descriptors = append(found.Descriptors, m.Manifests...)
		next, err := nextPage(q.url, a)
		if err != nil {
			return evidence.Referrers{}, false, s.client.locate(q, err)
		}
		if next == nil {
			return found, false, nil
		}
		if _, again := seen[next.RequestURI()]; again {
			return evidence.Referrers{}, false, s.client.locate(q, &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: "pages of referrers that end", Got: "a page that was read before"})
		}
		if page == limits.ReferrerPages || room == len(m.Manifests) {
			found.Cut = true
			return found, false, nil
		}
		q.url = next
	}
}

// lacksReferrers reports whether the registry's refusal means that it has no
// such API.
func lacksReferrers(err error) bool {
	return isStatus(err, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable)
}

// isUnknown reports whether the registry's refusal is about the digest or the
// repository rather than the path (distribution-spec, "Error Codes").
func isUnknown(err error) bool {
	var refused *statusError
	if !errors.As(err, &refused) {
		return false
	}
	return refused.code == "MANIFEST_UNKNOWN" || refused.code == "NAME_UNKNOWN"
}

// isIndex reports whether the answer claims to be the list of referrers. Some
// registries answer unknown paths with a page for people.
func isIndex(a answer) bool {
	t, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	return err == nil && t == evidence.MediaTypeIndex
}

// nextPage returns the next page's URL, nil if there is none. It must be on
// the registry that was asked, under the same path: the credentials go there.
func nextPage(asked *url.URL, a answer) (*url.URL, error) {
	target := nextLink(a.header.Values("Link"))
	if target == "" {
		return nil, nil // no further page
	}
	next, err := asked.Parse(target)
	if err != nil {
		return nil, &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: "a URL in Link", Got: "something else"}
	}
	if a.url.Scheme == "http" && next.Scheme == "http" && next.Host == asked.Host {
		next.Scheme = asked.Scheme // which of the two is spoken is decided anew
	}
	if !sameOrigin(asked, next) || next.User != nil || next.Path != asked.Path {
		return nil, &evidence.Problem{Reason: evidence.RegistryRefused, Expected: "the next page on the same registry and path", Got: fmt.Sprintf("one at %q", clip(next.Host))}
	}
	next.Fragment = ""
	return next, nil
}

// nextLink returns the target of the first link with relation "next" in Link
// headers (RFC 8288 §3), or "".
func nextLink(headers []string) string {
	for _, header := range headers {
		if len(header) > maxLink {
			continue
		}
		if target := nextLinkIn(header); target != "" {
			return target
		}
	}
	return ""
}

func nextLinkIn(header string) string {
	for {
		_, rest, found := strings.Cut(header, "<")
		if !found {
			return ""
		}
		target, rest, found := strings.Cut(rest, ">")
		if !found {
			return ""
		}
		params, rest := linkParams(rest)
		if relatesToNext(params) {
			return strings.TrimSpace(target)
		}
		header = rest
	}
}

// linkParams splits the parameters of one link, up to a comma outside quotes,
// from the links after it.
func linkParams(s string) (params []string, rest string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++ // quotes, escaped, do not end
		case s[i] == '"':
			quoted = !quoted
		case !quoted && (s[i] == ';' || s[i] == ','):
			params = append(params, s[start:i])
			start = i + 1
			if s[i] == ',' {
				return params, s[start:]
			}
		}
	}
	return append(params, s[start:]), ""
}

// relatesToNext looks for rel=next; only the first rel counts (RFC 8288 §3.3).
func relatesToNext(params []string) bool {
	for _, param := range params {
		name, value, found := strings.Cut(param, "=")
		if !found || !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for _, relation := range strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(relation, "next") {
				return true
			}
		}
		return false
	}
	return false
}
