// Java's own HTTP client as it is by default: it offers HTTP/2 (Upgrade: h2c) with the first request
// of a connection. Prints a line of JSON per request: its name, the status, the body as a string.

import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.stream.Collectors;

public class Client {
    private static final String QUESTION =
            "Tom has 3 boxes with 12 pens each. How many pens has he?";
    private static final String CHAT =
            "{\"model\": \"glore\", \"messages\": [{\"role\": \"user\", \"content\": \"" + QUESTION + "\"}]}";

    public static void main(String[] arguments) throws Exception {
        String solve = "{\"question\": \"" + QUESTION + "\"}";
        String stream = CHAT.replace("{\"model\"", "{\"stream\": true, \"model\"");
        show("solve", post("/solve", BodyPublishers.ofString(solve)));
        show("chat", post("/v1/chat/completions", BodyPublishers.ofString(CHAT)));
        show("chunked", post("/v1/chat/completions", BodyPublishers.ofInputStream(() -> bytes(CHAT))));
        show("invalid", post("/v1/chat/completions", BodyPublishers.ofString("{}")));
        show("stream", post("/v1/chat/completions", BodyPublishers.ofString(stream)));
        HttpClient client = HttpClient.newHttpClient();
        show("expecting", client, request("/solve", BodyPublishers.ofString(solve)).expectContinue(true));
        show("again", client, request("/solve", BodyPublishers.ofString(solve)));
        show("ready", client, request("/readyz", BodyPublishers.noBody()).GET());
    }

    private static ByteArrayInputStream bytes(String text) {
        return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
    }

    private static HttpRequest.Builder request(String path, BodyPublisher body) {
        return HttpRequest.newBuilder(URI.create(System.getenv("GATEWAY") + path))
                .header("Authorization", "Bearer " + System.getenv("GATEWAY_KEY"))
                .header("Content-Type", "application/json")
                .POST(body);
    }

    /** Over a new connection, so that the upgrade is offered. */
    private static HttpResponse<java.util.stream.Stream<String>> post(String path, BodyPublisher body)
            throws Exception {
        return HttpClient.newHttpClient().send(request(path, body).build(), BodyHandlers.ofLines());
    }

    private static void show(String name, HttpClient client, HttpRequest.Builder request) throws Exception {
        show(name, client.send(request.build(), BodyHandlers.ofLines()));
    }

    private static void show(String name, HttpResponse<java.util.stream.Stream<String>> response) {
        String body = response.body().collect(Collectors.joining("\n"));
        String escaped = body.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
        System.out.printf("[\"%s\", %d, \"%s\", \"%s\"]%n", name, response.statusCode(), response.version(), escaped);
    }
}
