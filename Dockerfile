FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /wakelatch ./cmd/wakelatch

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /wakelatch /usr/local/bin/wakelatch
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/wakelatch"]
CMD ["serve"]
