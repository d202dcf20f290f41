package registry

import (
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// Bounds that no option changes. Whatever a registry, a token realm or a
// redirect target answers is read up to these.
const (
	// maxRedirects bounds a chain of redirects. Registries use one (to storage)
	// or two (a global name to a region, then storage).
	maxRedirects = 4
	// maxLocation bounds a redirect's target. Presigned URLs of cloud storage
	// have up to about 4 KiB.
	maxLocation = 16 << 10
	// maxHeaderBytes bounds a response's headers, which net/http would read up
	// to 10 MiB.
	maxHeaderBytes = 64 << 10
	// maxErrorBody bounds what is read of a refusal, which matters only for its
	// code and for the reuse of the connection.
	maxErrorBody = 16 << 10
	// maxTokenBody bounds a token realm's answer: two copies of a token that
	// must fit into a header.
	maxTokenBody = 64 << 10
	// maxToken bounds a token. Registries' own limit for headers is 8 to 16 KiB.
	maxToken = 16 << 10
	// maxTokenLife bounds how long a token is used, whatever its realm says.
	maxTokenLife = time.Hour
	// defaultTokenLife is the life of a token that does not tell (distribution
	// spec, auth/token: expires_in defaults to 60 seconds).
	defaultTokenLife = time.Minute
	// maxChallenge bounds the WWW-Authenticate headers that are looked at.
	maxChallenge = 8 << 10
	// maxScopes bounds the scopes taken over from a challenge.
	maxScopes = 4
	// maxLink bounds the Link headers that are looked at.
	maxLink = 16 << 10
	// maxRetryAfter bounds how long a registry can make a caller wait.
	maxRetryAfter = 30 * time.Second
	// challengeLife is how long a host's kind of authentication is remembered,
	// to fetch a token before it is asked for.
	challengeLife = time.Hour
	// referrersLife is how long a repository's lack of the referrers API is
	// remembered. A list of evidence lives no longer (TRUST R35).
	referrersLife = time.Minute
	// plainLife is how long it is remembered that a host speaks plain HTTP.
	plainLife = 10 * time.Minute

	// maxHosts, maxTokens, maxChallenges and maxNoReferrers bound what is
	// remembered: whoever names images chooses the hosts and repositories.
	maxHosts       = 1024
	maxTokens      = 4096
	maxChallenges  = 1024
	maxNoReferrers = 4096

	// maxCredentials bounds the credentials tried for one repository: a Pod may
	// name any number of pull secrets.
	maxCredentials = 8
	// maxPullSecrets bounds the pull secrets read for one Pod.
	maxPullSecrets = 32
	// maxDockerConfig bounds a docker configuration. A Kubernetes Secret holds
	// at most 1 MiB.
	maxDockerConfig = 1 << 20
	// maxConfigEntries bounds its registries, and maxSecretBytes the pull secrets
	// of one Pod together: they are read anew for each of its images, of which its
	// author may write a thousand. A registry takes 100 bytes, with a cloud's key
	// 4 KiB.
	maxConfigEntries = 1024
	maxSecretBytes   = 256 << 10
	// helperTimeout bounds a credential helper. Cloud helpers make a network
	// request or two.
	helperTimeout = 10 * time.Second
	// maxHelpers bounds the helpers that run at once: whoever names images chooses
	// the hosts that a helper for all hosts is asked about.
	maxHelpers = 8
	// helperLife is how long a helper's answer is used again, so that checking
	// many images does not start many processes.
	helperLife = time.Minute

	// maxClipped bounds what an error repeats of hostile text.
	maxClipped = 300
)

// Defaults of [Options] and [Limits].
const (
	// DefaultManifestBytes is what the distribution specification asks
	// registries to accept; larger manifests are an attack on memory.
	DefaultManifestBytes = evidence.MaxManifestBytes
	// DefaultReferrers bounds the list of referrers: an endless one kept other
	// verifiers busy (CVE-2023-33957).
	DefaultReferrers = 50
	// DefaultReferrerPages bounds its pages, which may be empty.
	DefaultReferrerPages = 10
	// DefaultInFlightBytes bounds the bytes that are being read at any moment in
	// the whole process: many requests within their own bounds add up.
	DefaultInFlightBytes = 256 << 20
	// DefaultPerHost bounds concurrent requests to one host.
	DefaultPerHost = 16
	// DefaultRequestTimeout bounds one request, its body included. It fits into
	// the default deadline of an admission webhook, 10 s.
	DefaultRequestTimeout = 8 * time.Second
	// DefaultConnectTimeout bounds name look-up and connecting.
	DefaultConnectTimeout = 3 * time.Second
	// DefaultAttempts is the first try and the retries together.
	DefaultAttempts = 3
	// DefaultBackoff is the wait before the first retry; it doubles.
	DefaultBackoff = 200 * time.Millisecond
	// DefaultBreakerFailures is after how many failed connections in a row a
	// host is left alone.
	DefaultBreakerFailures = 5
	// DefaultBreakerPause is for how long it is.
	DefaultBreakerPause = 10 * time.Second
	// DefaultSlow is when a request that its caller gave up on counts as the
	// host's failure rather than the caller's impatience.
	DefaultSlow = 2 * time.Second
)
