# The image holds one static program and the certificate authorities to verify
# registries by: no shell, no package manager, no user but a number.
#
#   docker build --build-arg VERSION=$(git describe --tags) -t bonafide .

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
ARG TARGETOS
ARG TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /bonafide ./cmd/bonafide

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /bonafide /bonafide
USER 65532:65532
ENTRYPOINT ["/bonafide"]
CMD ["serve"]
