package credentials

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// KyvernoAudience is the audience of the tokens that Kyverno sends to services
// since its releases 1.16.4 and 1.17.2. Earlier ones send the token of their
// service account, whose audience is the API server's own.
const KyvernoAudience = "kyverno-svc.kyverno.io"

const (
	// reviewLife is how long a token that was found genuine is believed: a
	// revoked one is refused within it and the API server's own memory of tokens,
	// which is as long.
	reviewLife = 10 * time.Second
	// maxReviewed bounds the tokens remembered; a cluster has few callers.
	maxReviewed = 256
	// maxToken bounds a token. What fits into a header is smaller.
	maxToken = 16 << 10
	// maxReviews bounds the reviews at once: anybody can send tokens that are
	// not genuine, each of which the API server is asked about.
	maxReviews = 8
	// maxAudiences bounds the reviews of one token.
	maxAudiences = 4
)

// Reviewer tells by TokenReview whose token it is. It implements TokenReviewer
// of the server and is safe for concurrent use. Make it with [NewReviewer].
type Reviewer struct {
	client    kubernetes.Interface
	audiences []string
	now       func() time.Time
	reviews   *semaphore.Weighted
	flights   singleflight.Group

	mu      sync.Mutex
	genuine map[[sha256.Size]byte]reviewed
}

type reviewed struct {
	username string
	until    time.Time
}

// NewReviewer returns a Reviewer that takes tokens for the API server itself and
// those for one of the audiences. The client's identity needs to create
// TokenReviews.
func NewReviewer(client kubernetes.Interface, audiences []string, now func() time.Time) (*Reviewer, error) {
	if len(audiences) > maxAudiences || slices.Contains(audiences, "") {
		return nil, fmt.Errorf("expected at most %d audiences with a name, got %q", maxAudiences, audiences)
	}
	return &Reviewer{
		client: client, audiences: slices.Clone(audiences), now: now,
		reviews: semaphore.NewWeighted(maxReviews), genuine: make(map[[sha256.Size]byte]reviewed),
	}, nil
}

// Review returns who has the token. It is not authenticated if it is not
// genuine, expired, or for another audience. An error says that the API server
// could not tell; it does not hold the token.
func (r *Reviewer) Review(ctx context.Context, token string) (username string, authenticated bool, err error) {
	if token == "" || len(token) > maxToken {
		return "", false, nil
	}
	sum := sha256.Sum256([]byte(token))
	if name, found := r.remembered(sum); found {
		return name, true, nil
	}
	done := r.flights.DoChan(string(sum[:]), func() (any, error) {
		flight, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		name, err := r.ask(flight, token)
		if err == nil && name != "" {
			r.remember(sum, name)
		}
		return name, err
	})
	select {
	case <-ctx.Done():
		return "", false, ctx.Err()
	case result := <-done:
		name, _ := result.Val.(string) // "" comes with an error
		return name, result.Err == nil && name != "", result.Err
	}
}

// ask reviews a token for the audiences one by one and at last for the API
// server, whose own audience no review can name. It returns "" for a token that
// is none.
func (r *Reviewer) ask(ctx context.Context, token string) (string, error) {
	if err := r.reviews.Acquire(ctx, 1); err != nil {
		return "", reviewError(err)
	}
	defer r.reviews.Release(1)
	for _, audience := range r.audiences {
		status, err := r.review(ctx, token, audience)
		if err != nil {
			return "", err
		}
		// An authenticator that knows no audiences leaves status.audiences out:
		// its word is about the API server (TokenReview v1, status.audiences).
		if status.Authenticated && status.User.Username != "" && slices.Contains(status.Audiences, audience) {
			return status.User.Username, nil
		}
	}
	status, err := r.review(ctx, token)
	if err != nil || !status.Authenticated {
		return "", err
	}
	return status.User.Username, nil
}

func (r *Reviewer) review(ctx context.Context, token string, audiences ...string) (authenticationv1.TokenReviewStatus, error) {
	answer, err := r.client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.TokenReviewStatus{}, reviewError(err)
	}
	return answer.Status, nil
}

// reviewError repeats of an error its reason alone: the rest may quote the
// request (TRUST R47).
func reviewError(err error) error {
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return fmt.Errorf("review a token: expected the API server's answer, got %s", reason)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("review a token: expected the API server's answer within %s, got none", readTimeout)
	}
	return errors.New("review a token: expected the API server's answer, got none")
}

func (r *Reviewer) remembered(sum [sha256.Size]byte) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, found := r.genuine[sum]
	if !found || !r.now().Before(known.until) {
		delete(r.genuine, sum)
		return "", false
	}
	return known.username, true
}

func (r *Reviewer) remember(sum [sha256.Size]byte, username string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if len(r.genuine) >= maxReviewed {
		for other, known := range r.genuine {
			if !now.Before(known.until) {
				delete(r.genuine, other)
			}
		}
	}
	if len(r.genuine) < maxReviewed { // else it is asked for again
		r.genuine[sum] = reviewed{username: username, until: now.Add(reviewLife)}
	}
}
