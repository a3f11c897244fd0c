import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

/** A second server that speaks MongoDB's protocol: in memory, on a free port of loopback. Prints its address; ends when its input does. */
public class MongoJavaServer {
    public static void main(String[] args) throws Exception {
        MongoServer server = new MongoServer(new MemoryBackend());
        var address = server.bind();
        System.out.println("mongodb://" + address.getAddress().getHostAddress() + ":" + address.getPort() + "/");
        System.out.flush();
        System.in.readAllBytes();
        server.shutdownNow();
    }
}
