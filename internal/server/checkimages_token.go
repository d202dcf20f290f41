package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// TokenReviewer tells whose bearer token it is. Implementations are safe for
// concurrent use and end with the context.
type TokenReviewer interface {
	// Review must return authenticated false for a token that is not genuine or
	// not for us, and an error only if that could not be told. Neither the error
	// nor anything that is logged holds the token.
	Review(ctx context.Context, token string) (username string, authenticated bool, err error)
}

// TokenReviewerFunc is a function that is a [TokenReviewer].
type TokenReviewerFunc func(ctx context.Context, token string) (username string, authenticated bool, err error)

// Review calls f.
func (f TokenReviewerFunc) Review(ctx context.Context, token string) (string, bool, error) {
	return f(ctx, token)
}

// defaultAllowedUsers are the service accounts by which Kyverno, installed as
// its chart does, asks extension services.
func defaultAllowedUsers() []string {
	return []string{
		"system:serviceaccount:kyverno:kyverno-admission-controller",
		"system:serviceaccount:kyverno:kyverno-reports-controller",
	}
}

// authorize returns why the caller may not ask, or nil. Without a reviewer
// everybody may, and [Server.Serve] says so. No answer repeats what a statement
// says that only Bonafide's own credentials can read (TRUST R36). But whoever may
// ask can find it out by yes and no: the conditions are the caller's. That is
// what the door is for, so that its callers are for the operator to choose.
func (s *Server) authorize(ctx context.Context, header http.Header) *failure {
	reviewer := s.options.CheckImages.TokenReviewer
	if reviewer == nil {
		return nil
	}
	given := header.Get("Authorization")
	if given == "" {
		return &failure{http.StatusUnauthorized, "Authorization header not supplied"}
	}
	scheme, token, _ := strings.Cut(given, " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return &failure{http.StatusUnauthorized, "No token provided in the header"}
	}
	username, authenticated, err := reviewer.Review(ctx, token)
	if err != nil { // a reviewer that quotes what it was sent must not publish it (TRUST R47)
		return notAcceptable(strings.ReplaceAll(err.Error(), token, "(token)"))
	}
	if !authenticated || username == "" || !slices.Contains(s.options.CheckImages.AllowedUsers, username) {
		return notAcceptable("Token is not authorized")
	}
	return nil
}
