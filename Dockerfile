# One static binary, the certificates it trusts, and nothing else to keep up to date.
FROM golang:1.26 AS build
WORKDIR /src
# Modules first: they change less often than the code, and this layer is kept.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/mpim ./cmd/mpim

FROM busybox:1.37-musl AS probe

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# For health checks, which run inside the container: there is no shell and no other program here.
COPY --from=probe /bin/wget /wget
COPY --from=build /out/mpim /mpim
# A number, because there is no /etc/passwd either.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/mpim"]
