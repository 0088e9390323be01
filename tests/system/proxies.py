"""What speaks TLS in front of the coordinator, as Debian ships it: nginx, Caddy. Nothing here knows pytest."""
from coordinated import CERTIFICATE, PORT, PRIVATE_KEY

BACKEND = "http://127.0.0.1:8080"  # where "coordctl init" puts a coordinator without a certificate
BARE_PORT = PORT + 1  # of nginx: told nothing but where to pass requests
ERRORS = "/var/log/nginx/error.log"

# peergate-coord(8)
FORWARDED = """
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;"""
SERVER = """
server {
    listen %s ssl;
    ssl_certificate %s;
    ssl_certificate_key %s;
    location / {
        proxy_pass %s;%s
    }
}
"""
CADDYFILE = """
https://%s:%s {
    tls /etc/caddy/coord.pem /etc/caddy/coord.key
    reverse_proxy %s
}
"""


class Nginx:
    def start(self, host):
        servers = ((PORT, FORWARDED), (BARE_PORT, ""))
        host.write("/etc/nginx/sites-enabled/coordinator",
                   "".join(SERVER % (port, CERTIFICATE, PRIVATE_KEY, BACKEND, more) for port, more in servers))
        host.run("systemctl start nginx", check=True)

    def stop(self, host):
        host.run(f"systemctl stop nginx; rm -f /etc/nginx/sites-enabled/coordinator {ERRORS}")


class Caddy:
    def start(self, host):
        host.write("/etc/caddy/Caddyfile", CADDYFILE % (host.ip4, PORT, BACKEND))
        host.run(f"""
            install -o caddy {CERTIFICATE} /etc/caddy/coord.pem
            install -o caddy -m 600 {PRIVATE_KEY} /etc/caddy/coord.key
            systemctl start caddy""", check=True)

    def stop(self, host):
        host.run("systemctl stop caddy; rm -f /etc/caddy/*")
