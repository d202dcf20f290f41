package registry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// raw answers with bytes on the connection itself.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text) // the client may have gone
		_ = conn.Close()
	}
}

func endless(chunk []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", imageType)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

// slowly sends headers and then a byte at a time, until the client goes.
func slowly(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", imageType)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
			w.Write([]byte(" "))
			_ = http.NewResponseController(w).Flush() // the client may have gone
		}
	}
}

// silent never answers.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func gzipBomb(t testing.TB) http.HandlerFunc {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", imageType)
		w.Write(b.Bytes())
	}
}

func TestR1BadRegistryGetsOneClassifiedAnswer(t *testing.T) {
	image := manifestJSON("asked for")
	byTag, byDigest := "acme/app:1", "acme/app@"+imageref.DigestOf(image).String()
	cases := map[string]struct {
		reason  string
		handler http.HandlerFunc
		ref     string
		want    evidence.Reason
	}{
		"Unauthorized":       {"401 without a challenge", status(401), byTag, evidence.RegistryUnauthorized},
		"Forbidden":          {"403", status(403), byTag, evidence.RegistryUnauthorized},
		"NotFound":           {"404", status(404), byTag, evidence.ImageNotFound},
		"RateLimited":        {"429", status(429), byTag, evidence.RegistryRateLimited},
		"ServerError":        {"500", status(500), byTag, evidence.RegistryUnavailable},
		"BadGateway":         {"502", status(502), byTag, evidence.RegistryUnavailable},
		"BadRequest":         {"a status that the specification does not give here", status(400), byTag, evidence.RegistryProtocol},
		"NoContent":          {"a success that is not 200", status(204), byTag, evidence.RegistryProtocol},
		"PartialContent":     {"a part is not the whole", status(206), byTag, evidence.RegistryProtocol},
		"EndlessBody":        {"a body without end", endless(bytes.Repeat([]byte(" "), 64<<10)), byTag, evidence.LimitExceeded},
		"HundredMiB":         {"a declared length beyond the cap is not read at all", declares(100 << 20), byTag, evidence.LimitExceeded},
		"WrongDigest":        {"other bytes than the digest names", serve(imageType, manifestJSON("other")), byDigest, evidence.DigestMismatch},
		"SlowLoris":          {"a byte now and then", slowly, byTag, evidence.RegistryTimeout},
		"Silence":            {"no headers", silent, byTag, evidence.RegistryTimeout},
		"ChunkedGarbage":     {"a chunk length that is none", raw("HTTP/1.1 200 OK\r\nContent-Type: " + imageType + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"), byTag, evidence.RegistryProtocol},
		"NotHTTP":            {"bytes that are not HTTP", raw("SSH-2.0-OpenSSH_9.9\r\n"), byTag, evidence.RegistryProtocol},
		"HeaderFlood":        {"headers beyond the bound", raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), byTag, evidence.RegistryProtocol},
		"CutBody":            {"fewer bytes than declared", raw("HTTP/1.1 200 OK\r\nContent-Type: " + imageType + "\r\nContent-Length: 500\r\n\r\n{}"), byTag, evidence.RegistryUnreachable},
		"GzipBomb":           {"nothing is decompressed", gzipBomb(t), byTag, evidence.RegistryProtocol},
		"GzipBombByDigest":   {"nothing is decompressed", gzipBomb(t), byDigest, evidence.RegistryProtocol},
		"PageForPeople":      {"HTML", serve("text/html", []byte("<html>")), byTag, evidence.MalformedManifest},
		"OtherContentType":   {"R3", serve(indexType, image), byTag, evidence.MalformedManifest},
		"RedirectLoop":       {"redirects without end", redirect(func(r *http.Request) string { return r.URL.Path }), byTag, evidence.RegistryRefused},
		"RedirectToNothing":  {"a redirect without target", status(302), byTag, evidence.RegistryProtocol},
		"RedirectToFile":     {"another scheme", redirect(to("file:///etc/passwd")), byTag, evidence.RegistryRefused},
		"RedirectToPlain":    {"TLS is not given up", redirect(to("http://example.com/")), byTag, evidence.RegistryRefused},
		"RedirectToMetadata": {"a literal address", redirect(to("https://169.254.169.254/latest/")), byTag, evidence.RegistryRefused},
		"RedirectWithUser":   {"credentials in a URL", redirect(to("https://user:secret@example.com/")), byTag, evidence.RegistryRefused},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startTLS(t, tc.handler)
			c := clientFor(t, func(o *registry.Options) {
				if tc.want == evidence.RegistryTimeout { // the others answer, on a busy machine too
					o.RequestTimeout = 500 * time.Millisecond
				}
			}, f)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			ref := f.ref(t, tc.ref)
			_, err := sourceFor(t, c, ref.Repository()).Manifest(ctx, ref)
			p := problem(t, err, tc.want)
			if p.Host != f.host {
				t.Errorf("%s: host: want %q, got %q", tc.reason, f.host, p.Host)
			}
			if ctx.Err() != nil {
				t.Errorf("%s: no answer within the deadline", tc.reason)
			}
		})
	}
}

func declares(length int64) http.HandlerFunc {
	return raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n{", imageType, length))
}

func to(target string) func(*http.Request) string {
	return func(*http.Request) string { return target }
}

func redirect(target func(*http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", target(r))
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

func TestR1UnreachableRegistry(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	listener.Close()
	c := clientFor(t, func(o *registry.Options) { o.AllowedHosts = []string{host} })
	ref, err := imageref.Parse(host + "/acme/app:1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = pull(t, c, ref)
	wantReason(t, err, evidence.RegistryUnreachable)
}

func TestR1UnknownName(t *testing.T) {
	c := clientFor(t, func(o *registry.Options) { o.Resolver = resolverOf(t, nil) })
	_, err := pull(t, c, imageref.MustParse("registry.test/acme/app:1"))
	wantReason(t, err, evidence.RegistryUnreachable)
}

func TestR1ServerThatHangsUp(t *testing.T) {
	f := startTLS(t, raw(""))
	_, err := pull(t, clientFor(t, nil, f), f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryUnreachable)
}

func TestCallersDeadlineIsNotTheRegistrysTimeout(t *testing.T) {
	f := startTLS(t, silent)
	c := clientFor(t, nil, f)
	ref := f.ref(t, "acme/app:1")
	src := sourceFor(t, c, ref.Repository())

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := src.Manifest(ctx, ref)
	wantReason(t, err, evidence.DeadlineExceeded)

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = src.Manifest(ctx, ref)
	wantReason(t, err, evidence.Cancelled)
}

func TestR1BlobBounds(t *testing.T) {
	content := []byte("twelve bytes")
	good := evidence.Descriptor{Digest: imageref.DigestOf(content), Size: int64(len(content))}
	cases := map[string]struct {
		reason     string
		descriptor evidence.Descriptor
		limit      int64
		asked      int
		want       evidence.Reason
	}{
		"Fits":          {"exactly the limit", good, 12, 1, ""},
		"OverLimit":     {"a descriptor beyond the limit is not asked for", good, 11, 0, evidence.LimitExceeded},
		"SizeTooSmall":  {"more bytes than the descriptor says", evidence.Descriptor{Digest: good.Digest, Size: 5}, 100, 1, evidence.LimitExceeded},
		"SizeNotKnown":  {"the limit counts", evidence.Descriptor{Digest: good.Digest}, 5, 1, evidence.LimitExceeded},
		"OtherContent":  {"the digest decides", evidence.Descriptor{Digest: imageref.DigestOf([]byte("x")), Size: 12}, 100, 1, evidence.DigestMismatch},
		"NoDigest":      {"nothing to check against", evidence.Descriptor{Size: 12}, 100, 0, evidence.MalformedManifest},
		"NegativeSize":  {"nonsense", evidence.Descriptor{Digest: good.Digest, Size: -1}, 100, 0, evidence.MalformedManifest},
		"OtherContent0": {"the digest decides for a size that is not known", evidence.Descriptor{Digest: imageref.DigestOf(nil)}, 100, 1, evidence.DigestMismatch},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := startTLS(t, serve("application/octet-stream", content))
			repository := f.ref(t, "acme/app").Repository()
			got, err := sourceFor(t, clientFor(t, nil, f), repository).Blob(t.Context(), repository, tc.descriptor, tc.limit)
			if n := len(f.lines()); n != tc.asked {
				t.Errorf("%s: requests: want %d, got %d", tc.reason, tc.asked, n)
			}
			if tc.want != "" {
				wantReason(t, err, tc.want)
				return
			}
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: want %q, got %q, %v", tc.reason, content, got, err)
			}
		})
	}
}

// A server that sends slowly holds little of the budget, so that others read on.
func TestR1BytesInFlightAreBounded(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 256<<10)
	f := startTLS(t, serve("application/octet-stream", big))
	repository := f.ref(t, "acme/app").Repository()
	d := evidence.Descriptor{Digest: imageref.DigestOf(big), Size: int64(len(big))}

	small := clientFor(t, func(o *registry.Options) { o.Limits.InFlightBytes = 100 << 10 }, f)
	_, err := sourceFor(t, small, repository).Blob(t.Context(), repository, d, d.Size)
	wantReason(t, err, evidence.LimitExceeded)

	enough := clientFor(t, func(o *registry.Options) { o.Limits.InFlightBytes = 1100 << 10 }, f)
	src := sourceFor(t, enough, repository)
	failed := make(chan error, 16)
	for range cap(failed) {
		go func() {
			_, err := src.Blob(t.Context(), repository, d, d.Size)
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Errorf("many readers share a budget for a few: %v", err)
		}
	}
}

func TestR47ErrorsHoldNoSecret(t *testing.T) {
	const password, bearer = "hunter2-password", "tok-abcdef"
	var f *fake
	echo := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			fmt.Fprintf(w, `{"token":%q}`, bearer)
		case r.Header.Get("Authorization") == "":
			w.Header().Set("Www-Authenticate", `Bearer realm="https://`+f.host+`/token?sig=query-secret"`)
			w.WriteHeader(401)
		default: // says back what it was sent, in a way that clients like to quote
			raw("HTTP/1.1 two "+r.Header.Get("Authorization")+"\r\n\r\n")(w, r)
		}
	}
	f = startTLS(t, echo)
	c := clientFor(t, func(o *registry.Options) {
		o.Keychain = keychain(registry.Credential{Username: "robot", Password: password})
	}, f)
	_, err := pull(t, c, f.ref(t, "acme/app:1"))
	p := problem(t, err, evidence.RegistryProtocol)
	for _, text := range []string{p.Error(), fmt.Sprintf("%+v", p), fmt.Sprintf("%v", err)} {
		for _, secret := range []string{password, bearer, "query-secret"} {
			if strings.Contains(text, secret) {
				t.Errorf("error text: want no secret, got %q", text)
			}
		}
	}
}
